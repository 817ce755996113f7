-- Gives whoever comes in as Bob a title.
module:hook("muc-occupant-joined", function(event)
	if event.nick:match("/Bob$") then
		local hats = { ["urn:test:host"] = { active = true, title = "Host" } };
		event.room:set_affiliation_data(event.occupant.bare_jid, "hats", hats);
	end
end);
