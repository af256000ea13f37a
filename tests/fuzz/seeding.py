"""What fuzzing begins with: small files of each format, each with every choice of options."""

from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"
DATA = Path(__file__).parents[3] / "shared" / "data"


def files(name):
    """Name and bytes of each seed of a target, as they are committed."""
    return [(path.name, path.read_bytes()) for path in sorted((SEEDS / name).iterdir())]


def inputs(name, choices):
    """Name and bytes of inputs: where the first byte chooses the options, each file with each of them."""
    for file, data in files(name):
        if choices:
            yield from ((f"{file}-{n}", bytes([n]) + data) for n in range(choices))
        else:
            yield file, data


def first_lines(most=3000):
    """The beginnings of real series, where they lie beside the repository."""
    for path in sorted(DATA.glob("*/**/*.csv"))[::7]:
        yield path.name, path.read_bytes()[:most].rpartition(b"\n")[0] + b"\n"
