-- Lets moderators withdraw messages as the current version of XEP-0425 has it, which no packaged module speaks yet.
local st = require "util.stanza";
local new_id = require "util.id".medium;

local muc = module:depends("muc");
local moderate_ns, retract_ns = "urn:xmpp:message-moderate:1", "urn:xmpp:message-retract:1";

module:hook("muc-disco#info", function(event)
	event.reply:tag("feature", { var = moderate_ns }):up();
end);

module:hook("iq-set/bare/" .. moderate_ns .. ":moderate", function(event)
	local origin, stanza = event.origin, event.stanza;
	local room = muc.get_room_from_jid(stanza.attr.to);
	local by = room and room:get_occupant_jid(stanza.attr.from);
	if not by or room:get_role(by) ~= "moderator" then
		origin.send(st.error_reply(stanza, "auth", "forbidden"));
		return true;
	end
	local request = stanza.tags[1];
	-- Who did it is told by their occupant-id alone: `by` may be left out.
	local who = room:get_occupant_by_nick(by):get_presence():get_child("occupant-id", "urn:xmpp:occupant-id:0");
	local announcement = st.message({ from = room.jid, type = "groupchat", id = new_id() })
		:tag("retract", { xmlns = retract_ns, id = request.attr.id })
			:tag("moderated", { xmlns = moderate_ns })
				:tag("occupant-id", { xmlns = "urn:xmpp:occupant-id:0", id = who.attr.id }):up()
			:up();
	local reason = request:get_child_text("reason");
	if reason then
		announcement:text_tag("reason", reason);
	end
	announcement:reset();
	-- What old clients show instead.
	announcement:tag("fallback", { xmlns = "urn:xmpp:fallback:0", ["for"] = retract_ns }):up();
	announcement:text_tag("body", "A moderator withdrew a message.");
	origin.send(st.reply(stanza));
	room:broadcast_message(announcement);
	return true;
end);

module:hook("muc-message-is-historic", function(event)
	if event.stanza.attr.from == event.room.jid and event.stanza:get_child("retract", retract_ns) then
		return true;
	end
end, 1);
