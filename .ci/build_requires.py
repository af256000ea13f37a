"""Print the build requirements of pyproject.toml, one shell word each: they are written down once."""

from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib

body = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
print(*(item.replace(" ", "") for item in body["build-system"]["requires"]), sep="\n")
