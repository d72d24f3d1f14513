"""The environment of a plugin's process."""

from pathlib import Path

from mm_plugin.host.environment import plugin_environment
from mm_plugin.host.options import HostOptions


def test_environment() -> None:
    """The host's own comes first, the operator's next, and what a plugin is told wins over both."""
    inherited = {
        "PATH": "/bin",
        "LANG": "C",
        "MATTERMOST_PLUGIN_API_TARGET": "another plugin's",
        "MATTERMOST_PLUGIN_ID": "another plugin's",
        "PLUGIN_CLIENT_CERT": "x",
        "PLUGIN_MULTIPLEX_GRPC": "true",
        "PLUGIN_UNIX_SOCKET_DIR": "/x",
        "PLUGIN_UNIX_SOCKET_GROUP": "x",
    }
    options = HostOptions(environment={"LANG": "de", "MATTERMOST_PLUGIN": "no"}, log_level="DEBUG")
    made = plugin_environment(inherited, options, plugin_id="a.b", bundle=Path("/b"), api_target="127.0.0.1:1")
    assert made == {
        "PATH": "/bin",
        "LANG": "de",
        "MATTERMOST_PLUGIN": "Securely message teams, anywhere.",
        "PLUGIN_MIN_PORT": "10000",
        "PLUGIN_MAX_PORT": "25000",
        "PLUGIN_PROTOCOL_VERSIONS": "1",
        "MATTERMOST_PLUGIN_API_TARGET": "127.0.0.1:1",
        "MATTERMOST_PLUGIN_ID": "a.b",
        "MATTERMOST_PLUGIN_PATH": "/b",
        "MATTERMOST_PLUGIN_LOG_LEVEL": "DEBUG",
    }
