"""`ray-iqa`: one sub-command per job; what it says, and how it ends."""

import sys
from collections.abc import Sequence

from actors.cluster.stop_signal import stop_on_signal
from actors.commands.failures import check_words, flush_output, is_unread, open_streams, sentence_of
from actors.exit_codes import FAILURE, UNREAD
from ray_iqa.errors import RayIqaError
from ray_iqa.telemetry.terminal import say


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but for some pictures, 141 nobody reads the output, 143 stopped
    after saving, or 128 and the number of the signal that ended it at once (130: Ctrl-C).
    """
    words = sys.argv[1:] if argv is None else argv
    name = ""
    open_streams()
    with stop_on_signal() as stop:
        try:
            from actors.cli_parser import parser  # here, where signals are heeded

            check_words(words)
            options = vars(parser().parse_args(words))
            name = " ".join(options.pop(part) for part in ("called", "called_in_group") if part in options)
            code = options.pop("call")(options, stop)
            sys.stdout.flush()
        except (RayIqaError, ModuleNotFoundError, OSError) as error:
            if isinstance(error, BrokenPipeError) and is_unread():
                return UNREAD
            sentence = sentence_of(error, name)
            if sentence is None:
                raise
            say(f"ray-iqa: {sentence}")
            return FAILURE
        except KeyboardInterrupt:
            exec(
                ""
            )  # an interrupted exec, such as those of imports, lets the interpreter end by SIGINT; this forgets it
            say(f"ray-iqa: ended by {stop.name} before it was done")
            return stop.exit_code
        else:
            return int(code)
        finally:
            flush_output()
