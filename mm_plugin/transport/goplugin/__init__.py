"""go-plugin without Mattermost: cookie, version, listening, health, controller. Internal."""
