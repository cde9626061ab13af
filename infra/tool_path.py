"""Prints the folders of the programs that the project built or finds, as a part of PATH."""

from infra.real_parts.tools import find_tool
from tasks.oci.errors import ProgramMissingError

PROGRAMS = ("oras", "goofys", "registry")


def main() -> None:
    """Print each folder once; what is missing is left out, and named by the command that needs it."""
    folders = []
    for name in PROGRAMS:
        try:
            folders.append(str(find_tool(name).parent))
        except ProgramMissingError:
            continue
    print(":".join(dict.fromkeys(folders)))


if __name__ == "__main__":
    main()
