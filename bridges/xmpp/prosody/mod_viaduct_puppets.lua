-- Spares Prosody what it would tell viaduct's puppets, and nobody reads.
--
-- A room tells every occupant everything. With a thousand puppets in it every message is made and sent a thousand times, and a
-- million presences are when they enter; viaduct reads the copy for itself and drops the others. With this module they are not
-- made. What concerns a puppet alone still reaches it: whether it was let in, that it was removed, private messages, questions.
--
--   Component "conference.example.org" "muc"
--     modules_enabled = { "muc_mam", "viaduct_puppets" }
--     viaduct_component = "matrix.example.org"
--
-- The file belongs into one of Prosody's plugin_paths; deploy/xmpp.md says what it changes, and what to look at after an upgrade.

local component = module:get_option_string("viaduct_component");
if not component then
	module:log("error", "viaduct_component is missing: the domain of viaduct's component");
	return;
end

local room_mt = module:depends("muc").room_mt;
local muc_user = "http://jabber.org/protocol/muc#user";
-- As viaduct names itself and its puppets.
local ending = "@" .. component .. "/viaduct";
local hub = "viaduct" .. ending;

local function is_puppet(address)
	return address ~= hub and address:sub(-#ending) == ending;
end

-- Whether a room tells an occupant something that only they are told.
local function is_personal(stanza)
	local kind = stanza.attr.type;
	if stanza.name == "message" then
		return kind ~= "groupchat";
	elseif stanza.name ~= "presence" or (kind and kind ~= "unavailable") then
		return true;
	end
	local x = stanza:get_child("x", muc_user);
	return x and (x:get_child("status") or x:get_child("destroy")) and true or false;
end

local route_to_occupant, send_occupant_list = room_mt.route_to_occupant, room_mt.send_occupant_list;

function room_mt:route_to_occupant(occupant, stanza)
	local address = occupant.jid;
	if address and is_puppet(address) and not is_personal(stanza) then
		return;
	end
	return route_to_occupant(self, occupant, stanza);
end

function room_mt:send_occupant_list(to, filter)
	if is_puppet(to) then
		return;
	end
	return send_occupant_list(self, to, filter);
end

function module.unload()
	room_mt.route_to_occupant, room_mt.send_occupant_list = route_to_occupant, send_occupant_list;
end
