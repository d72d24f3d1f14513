"""Every bound and budget of the package, each with its unit and a reason.

Names end in their unit: ``_octets``, ``_s``, or a plural noun for a count. A value that an operator may
want to change is also a field of ``settings.RuntimeConfig``; this is where its default lives.
"""

# -- messages and bodies ------------------------------------------------------------------------------------

#: Longest message either side takes. The Go host sends up to 2**31 - 1; files and configurations are single messages.
message_limit_octets = 64 * 1024 * 1024
#: Longest body chunk we send in ServeHTTP; the Go host reads bodies in pieces of this size.
http_chunk_octets = 65_536
#: Body pieces that wait between the pump and the handler of one request: enough to keep both busy, constant memory.
http_body_pieces = 2
#: Messages of one request that hold nothing; a host has little reason to send any.
http_empty_messages = 1_000
#: Pieces of an upload that wait between the host's HTTP server and its gateway, each at most one socket read.
http_server_pieces = 4
#: Browsers' connections that wait to be accepted by the gateway; beyond it each waits seconds to try again.
http_server_backlog = 1_024
#: One WebSocket message that the HTTP server puts together; what an app takes may be less.
http_server_websocket_octets = 64 * 1024
#: Worker threads for blocking HTTP handlers and mounted WSGI apps; apart from those of hooks, which a slow client
#: must not hold up.
http_threads = 32
#: What a mounted ASGI app has for its shutdown, within the whole stop.
http_lifespan_stop_s = 0.5
#: Longest body that ``json`` and ``form`` read, unless the handler asks for another: they hold it as a whole.
http_parsed_body_octets = 8 * 1024 * 1024
#: Characters of what a client reads of its own mistake in a 400; the path that it asked for is part of it.
http_error_reason_characters = 1_000
#: Parameters of one query or form; parsing each costs far more than receiving it.
http_parameters = 4_096
#: How much of one multipart file stays in memory; what is longer goes to a temporary file.
http_multipart_memory_octets = 256 * 1024
#: Longest multipart field that is no file; it stays in memory.
http_multipart_field_octets = 1024 * 1024
#: Parts of one multipart body; each costs some memory whatever its length.
http_multipart_parts = 1_000
#: One read of a file that is being sent; a step into a worker thread each.
http_file_read_octets = 256 * 1024
#: Fields and octets of one request or response head; far above what browsers and servers allow each other.
http_head_octets = 65_536

# -- HTTP/2 ---------------------------------------------------------------------------------------------------

#: Streams one peer may have open; above the hundreds a busy server keeps in flight.
http2_concurrent_streams = 2_048
#: Receive window of one stream: how much of an unread body one call can make us hold. Half of it costs the reader one
#: WINDOW_UPDATE, which is dear on loopback: with 256 KiB uploads are a tenth slower.
http2_stream_window_octets = 512 * 1024
#: Receive window of a connection. Credit is given back on receipt, so this only has to cover one round trip.
http2_connection_window_octets = 16 * 1024 * 1024
#: Longest frame payload we accept: the protocol's default.
http2_frame_octets = 16_384
#: Who keeps a view copies it where it is less than this part of what it keeps alive: a peer can then make us hold five
#: times what its windows allow, and a full frame of a full read, less its message's prefix, need not be copied.
kept_view_part = 1 / 5
#: Octets of one header block with its CONTINUATION frames (RFC 9113, section 10.5.1).
http2_header_block_octets = 16_384
#: Decoded octets of one header list, counted as SETTINGS_MAX_HEADER_LIST_SIZE counts them.
http2_header_list_octets = 65_536
#: CONTINUATION frames of one header block; a real peer needs one or two.
http2_continuation_frames = 8
#: Closed streams whose way of closing is remembered, to tell a late frame from a wrong one.
http2_remembered_streams = 256
#: Frames that cost work and bring nothing before the connection is closed with ENHANCE_YOUR_CALM.
http2_idle_frames = 1_000
#: How often the budget of idle frames begins anew, so that a peer with keepalive PINGs lives for ever.
http2_budget_renewal_s = 10.0
#: Longest a peer may take to finish what it has begun: its greeting, a frame, a header block.
http2_unfinished_s = 20.0
#: How often streams are looked at that stand still while it is the peer's turn: a unary request that does not end, a
#: response that gets no credit. One that is met twice is reset; a slow reader behind a host may need minutes.
http2_stall_s = 150.0
#: Octets that wait for the socket of one connection before writers are held back.
http2_output_octets = 1024 * 1024
#: Octets of DATA that stand ready for the socket of one connection: what a PING's answer or a reset finds before it.
#: More waits in its stream, in turn with the others'.
http2_ready_octets = 128 * 1024
#: Streams whose data waits for the socket before a server reads no more: a peer that asks on and reads nothing fills no
#: memory with small answers, and beside some big ones the server goes on to hear resets and calls.
http2_waiting_streams = 64
#: Octets one stream may have queued for its peer's window before its writer waits.
http2_stream_output_octets = 256 * 1024
#: Connections that wait to be accepted; one host opens one or two.
listen_backlog = 128
#: One write to a socket, or little more.
socket_write_octets = 256 * 1024
#: One read from a socket.
socket_read_octets = 65_536
#: Pause before the next connection is tried where the system has no descriptors, or the peer's queue no room.
accept_pause_s = 0.05
#: Longest wait for a connection to be opened; to loopback it takes no time, and callers may have no deadline.
connect_s = 20.0
#: Longest wait for one socket write before the peer counts as gone.
socket_write_s = 30.0
#: Longest wait for the peer after our last frame, before the socket is closed.
connection_linger_s = 0.5
#: Growth of the process after which the end of a connection has free memory returned to the system.
memory_return_octets = 2 * 1024 * 1024
#: From the end of a connection to that; once for all that end meanwhile.
memory_return_pause_s = 0.5
#: Octets of unary requests longer than one frame that one connection holds, unfinished or at work in handlers, so that
#: a peer cannot fill the memory with calls; a message of the longest length always finds room.
grpc_requests_octets = 256 * 1024 * 1024
#: Request heads that one connection keeps for calls under way; as many as a peer may open have less.
grpc_heads_octets = 6 * 1024 * 1024
#: Octets of custom metadata on one call.
grpc_metadata_octets = 16_384
#: Longest ``grpc-message`` we send, before percent-encoding: head blocks must stay under the peer's limit.
grpc_status_text_octets = 4_096
#: Dicts and lists inside each other in a Struct: three messages each, and protobuf decodes 100 messages deep.
struct_depth = 24

# -- calls ----------------------------------------------------------------------------------------------------

#: Longest a hook may take where the caller allows as much.
hook_timeout_s = 30.0
#: What we keep back of the caller's deadline, so that our decision arrives before it.
hook_deadline_margin_s = 0.5
#: Longest an API call may take.
api_timeout_s = 30.0
#: How long before the end of the enclosing scope a server's DEADLINE_EXCEEDED counts as that end.
api_scope_end_s = 0.05
#: Worker threads for blocking handlers.
hook_threads = 16
#: Handlers that were cancelled at their deadline and have not ended yet; beyond, calls are answered without a handler.
hook_lingering_handlers = 64
#: Characters of a reason or error text that a hook answers with; people read it.
hook_reason_characters = 16_384
#: Octets of an error that a hook answers with; far above any that the server makes.
hook_error_octets = 256 * 1024
#: Longest piece of a file's content that a handler is given at once.
file_chunk_octets = 65_536
#: A hook that keeps the event loop from running for longer is reported.
loop_blocked_s = 0.1
#: How often the loop shows that it runs, and is looked at, while hooks are being handled.
loop_watch_period_s = 0.025
#: How long the loop is watched on after the last hook, so that a busy plugin does not start and stop the watch.
loop_watch_idle_s = 1.0
#: How long an unreachable API is waited for once it had been reached.
api_reconnect_backoff_s = 0.05
#: The longest pause between two attempts to connect.
api_reconnect_backoff_max_s = 2.0

# -- what authors reach for beside the API --------------------------------------------------------------------

#: Most entries asked for in one page: no server answers fewer than it was asked for up to this, so a short page ends.
api_page_entries = 200
#: Pages fetched of one list before we stop believing that the server counts pages.
api_pages = 10_000
#: Longest key of a plugin's key-value store, in characters, as on the server.
kv_key_characters = 50
#: Times a compare-and-set loop reads and tries again.
kv_update_attempts = 12
#: First pause of that loop; it doubles, and chance shortens it so that two writers do not meet again.
kv_update_backoff_s = 0.01
#: Longest pause of that loop.
kv_update_backoff_max_s = 0.5
#: How long a cluster lock outlives its holder; whole seconds, as the server expires keys.
cluster_lease_s = 15
#: First pause before a cluster lock that is taken is tried again; it doubles.
cluster_poll_s = 0.1
#: Longest pause of that kind: how long a free lock may stand unused while others wait for it.
cluster_poll_max_s = 2.0
#: One piece of an upload; the server takes no first piece below 5 MiB unless it is the whole file.
upload_piece_octets = 5 * 1024 * 1024
#: Log records that wait for the server's API before the oldest is dropped.
api_log_records = 1_000
#: Longest wait before a record logged in a thread is sent; threads cannot wake the event loop without blocking.
api_log_delay_s = 0.5
#: Longest time for what still waits when the forwarding of logs ends.
api_log_flush_s = 0.2

# -- lifetime -------------------------------------------------------------------------------------------------

#: The whole stop after the host's Shutdown rpc; the Go host kills after 2 s.
stop_after_shutdown_s = 0.8
#: The whole stop after a signal.
stop_after_signal_s = 5.0
#: The whole stop after the host has gone: nobody is left to answer, and a second is all it may take to notice and end.
stop_after_host_gone_s = 0.4
#: How far a stop may overrun its time before the process is ended where it stands.
stop_overrun_s = 0.25
#: How often threads of hooks are looked at once the event loop has ended and time is left for them.
stop_thread_poll_s = 0.005
#: Cleanup that awaits while a call is being cancelled.
cleanup_s = 1.0
#: How often a lost parent is looked for where the kernel cannot tell.
parent_poll_s = 0.5
#: Budget of one lifecycle hook on the host's side, as in the Go host.
host_hook_timeout_s = 30.0
#: From process start to the handshake line of a Python plugin, as in the Go host.
host_start_timeout_s = 10.0
#: One health check.
host_health_timeout_s = 5.0
#: What hooks and HTTP requests under way have to finish before OnDeactivate is called.
host_drain_s = 2.0
#: The same while the whole host stops.
host_stop_drain_s = 1.0
#: A response that has begun, and of which nothing more has come for so long, is no reason to wait with a stop.
host_quiet_response_s = 0.1
#: OnDeactivate while the whole host stops: the host's own host waits no longer.
host_stop_hook_timeout_s = 10.0
#: The plugin's answer to the Shutdown rpc; it answers at once and drains afterwards.
host_ask_stop_s = 1.0
#: What a stopped process has to exit by itself, after SIGTERM, before SIGKILL.
host_exit_grace_s = 2.0
#: After SIGTERM, before SIGKILL.
host_terminate_grace_s = 1.0

#: From one health check of a running plugin to the next, as in the Go host.
host_ping_interval_s = 30.0
#: Pings in a row that must fail before a plugin counts as failed, as in the Go host.
host_pings = 3
#: The failure within the window that turns a plugin off, as in the Go host.
host_failures = 3
#: How long a failure counts, as in the Go host.
host_failure_window_s = 3_600.0
#: Failures that are remembered at most where there is no limit; the pause has long reached its longest by then.
host_failures_remembered = 64
#: Before the first restart; it doubles with each further failure.
host_restart_pause_s = 1.0
#: The longest pause before a restart.
host_restart_pause_most_s = 60.0
#: How long an interpreter may take to say its version.
host_interpreter_answer_s = 10.0
#: Making a plugin's virtual environment, and filling it from its requirements file, each.
host_install_s = 900.0
#: How often a host looks whether another one has made the environment that both want.
host_install_poll_s = 0.2
#: How often a wait that a debugger has suspended looks whether the debugger has gone.
host_debugger_poll_s = 0.5

# -- background work ------------------------------------------------------------------------------------------

#: Worker threads for blocking background work; apart from those of hooks, so that neither starves the other.
background_threads = 16
#: Pause after the first crash of a task that is to be restarted; it doubles with each further one.
restart_backoff_s = 0.5
#: The longest pause between a crash and the restart.
restart_backoff_max_s = 60.0
#: Crashes of one task within ``restart_window_s`` that are forgiven; the next one stops the plugin.
restarts = 10
#: How long a crash counts.
restart_window_s = 600.0

# -- observation ----------------------------------------------------------------------------------------------

#: A hook or API call that takes longer is logged; ServeHTTP is not, since streams are long by nature.
slow_call_s = 1.0
#: Upper bounds of the latency histogram's buckets, those of most Prometheus clients; one more has no bound.
latency_buckets_s = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# -- slash commands -------------------------------------------------------------------------------------------

#: Words of one slash command; the server limits a message to 16,383 characters.
command_words = 512

# -- text -----------------------------------------------------------------------------------------------------

#: One log line on stderr; go-plugin splits lines over 64 KiB.
log_line_octets = 60 * 1024
#: The first line of a plugin's standard output.
handshake_line_octets = 16_384
#: The last lines of a plugin's standard error that are kept to explain a failed start.
stderr_tail_lines = 200
#: What is kept of each of these lines.
stderr_tail_characters = 2_000

# -- the manifest ---------------------------------------------------------------------------------------------

#: plugin.json; the longest published ones have some tens of KiB, nearly all of it their settings schema.
manifest_octets = 4 * 1024 * 1024

# -- the development server -----------------------------------------------------------------------------------

#: Hooks that tell of what has happened, waiting or running at once; more would only pile up behind a slow plugin.
devserver_pending_events = 1_024
#: Longest message of a post, in characters, as on the server.
devserver_post_characters = 16_383
#: Longest body of a REST request; a post of the longest message, props and all, is well below.
devserver_body_octets = 1024 * 1024
#: Most entries of one page, as on the server.
devserver_page_entries = 200
#: Most keys of one page of a plugin's key-value store, as on the server.
devserver_page_keys = 1_000
#: Longest file it keeps; a file travels to and from plugins in one message.
devserver_file_octets = 32 * 1024 * 1024
#: Longest form with files; they wait on disk.
devserver_form_octets = 128 * 1024 * 1024
#: Posts that one user alone sees; as many as a client shows at once.
devserver_ephemeral_posts = 60
#: Mails, pushes, events and the like that are kept to be looked at, of each kind.
devserver_outbox_entries = 500
#: Events and replies that wait for one WebSocket client before it counts as gone, as on the server.
devserver_websocket_queue = 256
#: Longest message of a WebSocket client, as on the server.
devserver_websocket_message_octets = 8 * 1024
#: How long a WebSocket client may take to say who it is, as on the server.
devserver_websocket_sign_in_s = 5.0
#: Messages of one WebSocket client that wait for plugins before no more is read of it, as on the server.
devserver_websocket_told_messages = 10
#: Longest picture of a user, team or emoji; they are shown small.
devserver_picture_octets = 4 * 1024 * 1024
#: How long a trigger id opens a dialog, as on the server.
devserver_trigger_ms = 3_000
#: How long a custom slash command's own server may take to answer, as on the server.
devserver_custom_command_s = 30.0
#: How long the files of a plugin must be still before it is restarted: an editor saves in several steps.
devserver_quiet_files_ms = 50
#: The longest that changes of files are collected while they go on.
devserver_busy_files_ms = 1_600
#: How long after a start changed files may still be of the plugin's own writing.
devserver_own_files_s = 0.5
#: Probable mistakes that are told of one patch of the configuration.
devserver_config_hints = 20
#: How long a request to a plugin waits while that plugin is being restarted.
devserver_restart_wait_s = 10.0
#: Lines of a plugin's standard error shown where its start fails; a traceback with its causes fits.
cli_stderr_lines = 40
#: A start that takes longer is told to whoever sits before the terminal, with what the plugin has logged.
cli_slow_start_s = 3.0
#: Routes of a plugin that a command shows at most.
cli_routes = 8
#: Longest wait for one step of the tour.
tour_step_s = 10.0
