"""Checks an export with the libraries of those who defined its form: cloudevents, pycadf, csv."""
import csv
import json
import sys
import warnings

form, path = sys.argv[1:]
text = open(path, encoding="utf-8", newline="").read()
lines = text.splitlines()
assert len(lines) > 5, "an export of a server's life has more lines"

if form == "jsonl":
    positions = [json.loads(line)["position"] for line in lines]
    assert positions == list(range(1, len(lines) + 1))
elif form == "cloudevents":
    from cloudevents.http import from_json

    for line in lines:
        event = from_json(line)
        assert event["specversion"] == "1.0" and event["type"].startswith("vedette.")
        assert event["source"].startswith("urn:vedette:log:") and len(event["seal"]) == 64
        assert int(event["sealposition"]) >= int(event["position"]) == int(event["id"])
elif form == "cadf":
    from pycadf import cadftaxonomy, cadftype, event, resource

    warnings.simplefilter("error", UserWarning)
    for line in lines:
        record = json.loads(line)
        assert cadftype.is_valid_eventType(record["eventType"]), record["eventType"]
        assert cadftaxonomy.is_valid_action(record["action"]), record["action"]
        assert cadftaxonomy.is_valid_outcome(record["outcome"]), record["outcome"]
        made = event.Event(
            eventType=record["eventType"], id=record["id"], eventTime=record["eventTime"],
            action=record["action"], outcome=record["outcome"],
            initiator=resource.Resource(
                id=record["initiator"]["id"], typeURI=record["initiator"]["typeURI"],
                name=record["initiator"]["name"]),
            target=resource.Resource(
                id=record["target"]["id"], typeURI=record["target"]["typeURI"], name=record["target"]["name"]),
            observer=resource.Resource(
                id=record["observer"]["id"], typeURI=record["observer"]["typeURI"],
                name=record["observer"]["name"]))
        assert made.is_valid(), line
        assert made.typeURI == record["typeURI"]
        if record["eventType"] == "monitor":
            assert record["measurements"], "a monitor event has measurements"
else:
    rows = list(csv.DictReader(text.splitlines(keepends=True), strict=True))
    assert text.count("\r\n") >= len(rows) + 1 and "position" in rows[0]
    assert all(None not in row and None not in row.values() for row in rows), "every row has every cell"
    assert [int(row["position"]) for row in rows] == list(range(1, len(rows) + 1))
    assert any(row["vim_name"] == "'=1+1" for row in rows), "a formula is not taken for one"
    assert any(row["vim_name"] == 'nul\0"\u0301' for row in rows), "whatever stands in a name is kept"
    assert any(json.loads(row["details"]).get("description") == 'comma, "quote"\u0301\nline' for row in rows)
