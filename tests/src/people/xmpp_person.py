"""One person on XMPP, for the tests, on slixmpp.

Commands come as JSON lines on standard input, each with a number; what became of it and whatever else happens goes out as
JSON lines on standard output. The person comes back by itself when the server was away. People on the Rust side hold this
program by its ends: see xmpp.rs.
"""

import asyncio
import json
import sys
import urllib.request
from xml.etree import ElementTree

import slixmpp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

PLUGINS = ["0030", "0045", "0059", "0066", "0085", "0203", "0297", "0308", "0313", "0334", "0359", "0421", "0424", "0425",
           "0428", "0444", "0446", "0447", "0461"]
CLIENT = "{jabber:client}"
MUC_USER = "{http://jabber.org/protocol/muc#user}"


UPLOAD = "{urn:xmpp:http:upload:0}"


def tell(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def text_of(xml, path):
    found = xml.find(path)
    return None if found is None else (found.text or "")


def attribute_of(xml, path, name):
    found = xml.find(path)
    return None if found is None else found.get(name)


def put(place, data):
    """Sends a file where an upload service said."""
    headers = {one.get("name"): one.text for one in place.findall(UPLOAD + "header")}
    request = urllib.request.Request(place.get("url"), data, {"Content-Type": "text/plain", **headers}, method="PUT")
    # Without proxies: the service is on loopback.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
        response.read()


def described(xml):
    """A message as the tests look at it, read from the XML itself."""
    room = (xml.get("from") or "").split("/")[0]
    given = [one.get("id") for one in xml.findall("{urn:xmpp:sid:0}stanza-id") if one.get("by") == room]
    reactions = xml.find("{urn:xmpp:reactions:0}reactions")
    return {
        "type": xml.get("type") or "normal",
        "from": xml.get("from") or "",
        "to": xml.get("to") or "",
        "id": xml.get("id") or "",
        "body": text_of(xml, CLIENT + "body"),
        "subject": text_of(xml, CLIENT + "subject"),
        "stanza_id": given[0] if given else None,
        "replaces": attribute_of(xml, "{urn:xmpp:message-correct:0}replace", "id"),
        "answers": attribute_of(xml, "{urn:xmpp:reply:0}reply", "id"),
        "retracts": attribute_of(xml, "{urn:xmpp:message-retract:1}retract", "id"),
        "link": text_of(xml, "{jabber:x:oob}x/{jabber:x:oob}url"),
        "reacts_to": None if reactions is None else reactions.get("id"),
        "reactions": [] if reactions is None else [one.text for one in reactions],
        "late": xml.find("{urn:xmpp:delay}delay") is not None,
    }


class Person(slixmpp.ClientXMPP):
    def __init__(self, host, port, address, password):
        # Servers of the tests have no certificates and listen on loopback only.
        plain = {"feature_mechanisms": {"unencrypted_scram": True, "unencrypted_plain": True}}
        super().__init__(address, password, plugin_config=plain)
        self.enable_starttls = self.enable_direct_tls = False
        self.enable_plaintext = True
        self.where = (host, port)
        self.seats = {}
        for plugin in PLUGINS:
            self.register_plugin("xep_" + plugin)
        self.register_handler(Callback("every message", MatchXPath(CLIENT + "message"), self.on_any_message))
        self.register_handler(Callback("every presence", MatchXPath(CLIENT + "presence"), self.on_any_presence))
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("failed_all_auth", lambda _: tell(offline="the server refuses the password"))
        self.add_event_handler("disconnected", self.on_disconnected)

    def on_any_message(self, message):
        if message.xml.find("{urn:xmpp:mam:2}result") is None:
            tell(message=described(message.xml))

    def on_any_presence(self, presence):
        codes = [one.get("code") for one in presence.xml.findall(f"{MUC_USER}x/{MUC_USER}status")]
        tell(presence={"from": presence.xml.get("from") or "", "type": presence.xml.get("type") or "", "codes": codes})

    async def on_start(self, _):
        self.send_presence()
        for room, nick in self.seats.items():
            await self.plugin["xep_0045"].join_muc_wait(slixmpp.JID(room), nick, maxstanzas=0, timeout=30)
        tell(online=True)

    def on_disconnected(self, reason):
        tell(offline=str(reason))
        self.connect(*self.where)

    def message_to(self, to, text=None):
        kind = "groupchat" if to in self.seats else "chat"
        message = self.make_message(mto=to, mbody=text, mtype=kind)
        message["id"] = self.new_id()
        return message

    # What can be commanded: each returns what the one who asked learns.

    async def do_join(self, room, nick):
        await self.plugin["xep_0045"].join_muc_wait(slixmpp.JID(room), nick, maxstanzas=0, timeout=30)
        self.seats[room] = nick

    async def do_leave(self, room):
        self.plugin["xep_0045"].leave_muc(slixmpp.JID(room), self.seats.pop(room))

    async def do_say(self, to, text):
        message = self.message_to(to, text)
        message.send()
        return message["id"]

    async def do_edit(self, to, target, text):
        message = self.message_to(to, text)
        message["replace"]["id"] = target
        message.send()
        return message["id"]

    async def do_reply(self, to, author, target, quoted, text):
        kind = "groupchat" if to in self.seats else "chat"
        message = self.plugin["xep_0461"].make_reply(author, target, quoted, author.split("/")[-1], mto=to, mbody=text, mtype=kind)
        message["id"] = self.new_id()
        message.send()
        return message["id"]

    async def do_react(self, to, target, reactions):
        message = self.message_to(to)
        self.plugin["xep_0444"].set_reactions(message, target, reactions)
        message.enable("store")
        message.send()

    async def do_retract(self, to, target):
        kind = "groupchat" if to in self.seats else "chat"
        self.plugin["xep_0424"].send_retraction(slixmpp.JID(to), target, kind, fallback_text="somebody withdrew a message")

    async def do_moderate(self, to, target, reason):
        await self.plugin["xep_0425"].moderate(slixmpp.JID(to), target, reason, timeout=30)

    async def do_subject(self, to, text):
        message = self.make_message(mto=to, mtype="groupchat", msubject=text)
        message.send()

    async def do_upload(self, to, name, text, service, described):
        data = text.encode()
        iq = self.make_iq_get(ito=service)
        iq.append(ElementTree.Element(
            UPLOAD + "request", {"filename": name, "size": str(len(data)), "content-type": "text/plain"}))
        slot = (await iq.send(timeout=30)).xml.find(UPLOAD + "slot")
        url = slot.find(UPLOAD + "get").get("url")
        await asyncio.to_thread(put, slot.find(UPLOAD + "put"), data)
        message = self.message_to(to, url)
        message["oob"]["url"] = url
        if described:
            # The address is for old clients then: new ones read what the file is, and where.
            sharing = self.plugin["xep_0447"].get_sfs(uris=[url], media_type="text/plain", data=data)
            sharing["file"]["name"] = described
            message.append(sharing)
            message["fallback"]["for"] = "urn:xmpp:sfs:0"
            message["fallback"].enable("body")
        message.send()
        return url

    async def do_archive(self, room):
        """Everything the room's archive has, oldest first."""
        found = []
        async for one in self.plugin["xep_0313"].iterate(slixmpp.JID(room), rsm={"max": 200}):
            result = one.xml.find("{urn:xmpp:mam:2}result")
            message = described(result.find("{urn:xmpp:forward:0}forwarded/" + CLIENT + "message"))
            message["stanza_id"] = result.get("id")
            found.append(message)
        return found


async def obey(person):
    commands = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    # One after the other: what somebody does is done in the order it was commanded.
    while line := await commands.readline():
        command = json.loads(line)
        number, what = command.pop("number"), command.pop("do")
        try:
            result = await getattr(person, "do_" + what)(**command)
            tell(done=number, result=result)
        except Exception as error:
            tell(failed=number, why=f"{type(error).__name__}: {error}")


async def main():
    host, port, address, password = sys.argv[1:]
    person = Person(host, int(port), address, password)
    person.connect(*person.where)
    await obey(person)


asyncio.run(main())
