"""What setup.cfg cannot say: a wheel holds `search_spaces/` inside the package.

In the repository that folder stays on top, where users look for it; nothing is kept twice.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithSpaces(build_py):
    """Copy the search spaces to where `hexsearch.search.shipped` looks for them in a wheel."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # the repository's own folder is found
            return
        target = Path(self.build_lib) / "hexsearch" / "search_spaces"
        self.mkpath(str(target))
        for path in sorted(Path("search_spaces").iterdir()):
            if path.suffix in (".yaml", ".json"):
                self.copy_file(str(path), str(target))


setup(cmdclass={"build_py": BuildWithSpaces})
