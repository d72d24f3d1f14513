"""A plugin whose blocking hook or background work never returns, for a test with a real process."""

import os
import sys
import threading

from mm_plugin.plugin.plugin import Plugin
from mm_plugin.supervisor.run import run_plugin


class Stuck(Plugin):
    """Waits for what never comes."""

    def on_send_daily_telemetry(self) -> None:
        self.wait_for_nothing()

    async def on_install(self, context: object, event: object) -> None:
        self.start_soon(self.wait_for_nothing, name="waiting")

    def wait_for_nothing(self) -> None:
        sys.stderr.write("stuck\n")
        sys.stderr.flush()
        threading.Event().wait()


class Returning(Stuck):
    """Its thread returns once the call has been given up, before the stop."""

    def wait_for_nothing(self) -> None:
        self.returned = threading.Event()
        sys.stderr.write("stuck\n")
        sys.stderr.flush()
        self.returned.wait(0.3)
        sys.stderr.write("returned\n")
        sys.stderr.flush()


if __name__ == "__main__":
    run_plugin(Returning if "MM_TEST_RETURN" in os.environ else Stuck)
