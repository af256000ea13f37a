"""One target, with atheris: `python -m fuzz.one TARGET [options of libFuzzer] [corpus ...]`."""

import importlib
import pkgutil
import sys
import warnings

import atheris

from fuzz.targets import TARGETS


def main():
    target = TARGETS[sys.argv.pop(1)]
    with atheris.instrument_imports(include=["surgetank"], enable_loader_override=False):
        package = importlib.import_module(target.package)
        # Many a module is imported when it is first used: then is too late.
        for module in pkgutil.walk_packages(package.__path__, f"{target.package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        run = target.run
    warnings.simplefilter("error")  # a warning on somebody's terminal is a finding
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
