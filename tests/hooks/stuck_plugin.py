"""A plugin whose blocking hook never returns, for a test with a real process."""

import sys
import threading

from mm_plugin.plugin.plugin import Plugin
from mm_plugin.supervisor.run import run_plugin


class Stuck(Plugin):
    """Its hook waits for what never comes."""

    def on_send_daily_telemetry(self) -> None:
        sys.stderr.write("stuck\n")
        sys.stderr.flush()
        threading.Event().wait()


if __name__ == "__main__":
    run_plugin(Stuck)
