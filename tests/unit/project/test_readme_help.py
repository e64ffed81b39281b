"""README shows the program as it is."""

from collections.abc import Callable, Sequence

import readme_help

SAMPLE = """\
Text.

```console
$ cellcustody verify --help
Usage: cellcustody verify FILE
```

```console
$ make demo
anything
```
"""


def printing(text: str) -> Callable[[Sequence[str]], str]:
    """Returns a program that prints `text` whatever it is asked."""

    def run(command: Sequence[str]) -> str:
        assert command[0] == "cellcustody" and command[-1] == "--help"
        return text

    return run


def test_a_block_that_shows_old_help_is_named() -> None:
    """The command of the block is in the complaint; other blocks are nobody's business."""
    stale = readme_help.outdated(SAMPLE, printing("Usage: cellcustody verify FILE --anchor ANCHOR\n"))

    assert stale == ("cellcustody verify --help",)


def test_a_block_that_shows_current_help_passes() -> None:
    """Equal text is current, and rewriting it changes nothing."""
    same = printing("Usage: cellcustody verify FILE\n")

    assert readme_help.outdated(SAMPLE, same) == ()
    assert readme_help.rewritten(SAMPLE, same) == SAMPLE


def test_rewriting_replaces_the_output_alone() -> None:
    """What stands around a block stays."""
    text = readme_help.rewritten(SAMPLE, printing("new\n"))

    assert text == SAMPLE.replace("Usage: cellcustody verify FILE", "new")


def test_the_readme_shows_the_program_as_it_is() -> None:
    """Every help text in README.md is what the installed program prints."""
    text = readme_help.README.read_text(encoding="utf-8")

    assert readme_help.blocks_of(text)
    assert readme_help.outdated(text, readme_help.run_program) == ()
