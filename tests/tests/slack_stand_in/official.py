"""Works with the stand-in for Slack as any program with the official client would. The only argument is the task as JSON."""

import json
import sys
import threading
import time
import urllib.request

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

task = json.loads(sys.argv[1])
channel, user = task["channel"], task["user"]
client = WebClient(token=task["bot_token"], base_url=task["api_url"] + "/")


def control(**command):
    request = urllib.request.Request(task["url"] + "/control", data=json.dumps(command).encode())
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def wait(what, condition):
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.01)


# Web API
me = client.auth_test()
assert client.api_test()["ok"] and me["user_id"] and me["bot_id"]
assert client.team_info()["team"]["id"] == me["team_id"]
assert client.bots_info(bot=me["bot_id"])["bot"]["user_id"] == me["user_id"]
assert client.users_info(user=user)["user"]["id"] == user
assert [one["id"] for one in client.conversations_list()["channels"]] == [channel]
members = [one for page in client.users_list(limit=2) for one in page["members"]]
assert len(members) == 3, members
assert user in client.conversations_members(channel=channel)["members"]

posted = client.chat_postMessage(
    channel=channel, text="hello", username="Ann", icon_url="https://example.org/a.png", unfurl_links=False,
    metadata={"event_type": "viaduct", "event_payload": {"key": "1"}},
    blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}],
)
ts = posted["ts"]
client.chat_postMessage(channel=channel, text="an answer", thread_ts=ts, reply_broadcast=True)
assert len(client.conversations_replies(channel=channel, ts=ts)["messages"]) == 2
client.chat_update(channel=channel, ts=ts, text="changed")
assert client.chat_getPermalink(channel=channel, message_ts=ts)["permalink"]
client.reactions_add(channel=channel, timestamp=ts, name="wave")
assert client.reactions_get(channel=channel, timestamp=ts)["message"]["reactions"][0]["name"] == "wave"
client.reactions_remove(channel=channel, timestamp=ts, name="wave")
history = client.conversations_history(channel=channel, include_all_metadata=True, limit=5)
assert history["messages"][1]["metadata"]["event_payload"] == {"key": "1"}, history["messages"]
for page in client.conversations_history(channel=channel, limit=1):
    assert len(page["messages"]) == 1
uploaded = client.files_upload_v2(channel=channel, content="file content", filename="note.txt", initial_comment="a file")
assert client.files_info(file=uploaded["files"][0]["id"])["file"]["size"] == 12
client.chat_meMessage(channel=channel, text="waves")
assert client.conversations_open(users=user)["channel"]["id"].startswith("D")
assert client.emoji_list()["ok"] and client.pins_list(channel=channel)["ok"] and client.usergroups_list()["ok"]
client.chat_delete(channel=channel, ts=client.chat_postMessage(channel=channel, text="gone")["ts"])
try:
    client.chat_postMessage(channel="C0", text="nowhere")
    raise SystemExit("a channel that is not there took a message")
except SlackApiError as error:
    assert error.response["error"] == "channel_not_found"
try:
    control(do="fail_next", method="team.info", fault={"limited": {"retry_after": 1}}, count=2)
    client.team_info()
    raise SystemExit("the limit was not felt")
except SlackApiError as error:
    assert error.response.status_code == 429 and error.response.headers["Retry-After"] == "1"
client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
assert client.team_info()["ok"]

# Socket Mode
heard, lock = [], threading.Lock()


def listen(socket, request):
    with lock:
        heard.append(request)
    socket.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))


socket = SocketModeClient(app_token=task["app_token"], web_client=client, ping_interval=1)
socket.socket_mode_request_listeners.append(listen)
socket.connect()
wait("a socket", lambda: control(do="show")["sockets"] == 1)
control(do="say", channel=channel, user=user, text="can you hear me?")
wait("what was said", lambda: any(one.payload["event"].get("text") == "can you hear me?" for one in heard))
assert heard[0].type == "events_api" and heard[0].payload["team_id"] == me["team_id"]
wait("the acknowledgement", lambda: control(do="show")["events"]["acked"] >= 1)
control(do="refresh")
wait("a new socket", lambda: (lambda now: now["events"]["sockets"] >= 2 and now["sockets"] == 1)(control(do="show")))
control(do="say", channel=channel, user=user, text="and now?")
wait("what was said then", lambda: any(one.payload["event"].get("text") == "and now?" for one in heard))
socket.close()
print("all is well")
