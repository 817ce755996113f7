"""Microsoft's own Python library works with the stand-in. Run by official.rs, which hands over what it needs as JSON."""

import asyncio
import json
import sys
import urllib.parse
import urllib.request

from botbuilder.schema import Activity, ChannelAccount, ConversationParameters, ErrorResponseException, Mention
from botframework.connector import ConnectorClient
from botframework.connector.auth import AuthenticationConfiguration, ChannelValidation, SimpleCredentialProvider
from msrest.authentication import BasicTokenAuthentication

task = json.loads(sys.argv[1])


def request(url, data=None, form=False):
    if data is not None:
        data = (urllib.parse.urlencode(data) if form else json.dumps(data)).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data)) as answer:
        return json.load(answer)


def control(**command):
    return request(task["url"] + "/control", command)


token = request(
    f"{task['login']}{task['tenant']}/oauth2/v2.0/token",
    {
        "grant_type": "client_credentials",
        "client_id": task["app_id"],
        "client_secret": task["secret"],
        "scope": "https://api.botframework.com/.default",
    },
    form=True,
)
assert token["token_type"] == "Bearer" and token["expires_in"] > 3000

# The connector
client = ConnectorClient(BasicTokenAuthentication({"access_token": token["access_token"]}), task["service"])
channel = task["channel"]
made = client.conversations.create_conversation(
    ConversationParameters(
        is_group=True,
        tenant_id=task["tenant"],
        bot=ChannelAccount(id="28:" + task["app_id"]),
        channel_data={"channel": {"id": channel}},
        activity=Activity(type="message", text="first", text_format="plain"),
    )
)
assert made.id == f"{channel};messageid={made.activity_id}", made
members = client.conversations.get_conversation_paged_members(made.id, page_size=50).members
sue = next(one for one in members if one.name == "Sue Miller")
assert sue.id == task["mri"]
mention = Mention(type="mention", mentioned=ChannelAccount(id=sue.id, name=sue.name), text="<at>Sue Miller</at>")
sent = client.conversations.send_to_conversation(
    made.id, Activity(type="message", text="<at>Sue Miller</at> second", text_format="xml", entities=[mention])
)
client.conversations.update_activity(made.id, sent.id, Activity(type="message", text="changed", text_format="xml"))
reply = client.conversations.reply_to_activity(made.id, sent.id, Activity(type="message", text="third"))
client.conversations.delete_activity(made.id, reply.id)
history = control(do="history", channel=channel)["messages"]
assert [one["body"]["content"] for one in history] == ["first", "changed", ""], history
assert history[1]["replyToId"] == history[0]["id"]
assert client.conversations.get_conversation_member(made.id, sue.id).name == "Sue Miller"
try:
    client.conversations.delete_activity(made.id, "1")
    raise SystemExit("a message that is not there was deleted")
except ErrorResponseException as error:
    assert error.error.error.code == "ActivityNotFoundInConversation", error

# The tokens of activities
ChannelValidation.open_id_metadata_endpoint = task["openid"]
credentials = SimpleCredentialProvider(task["app_id"], "")


def check(bearer, service=task["service"]):
    return asyncio.run(
        ChannelValidation.authenticate_channel_token_with_service_url(
            bearer, credentials, service, "msteams", AuthenticationConfiguration()
        )
    )


assert check(task["bearer"]).claims["aud"] == task["app_id"]
for wrong, service in [(task["forged"], task["service"]), (task["bearer"], "https://elsewhere.test/")]:
    try:
        check(wrong, service)
    except Exception:  # The library raises many kinds.
        continue
    raise SystemExit("a wrong token was taken")
print("all is well")
