"""Teaches schemathesis what stands in the frames of a stream, as the OpenAPI document says it by `x-frames`."""

import json

import schemathesis

FRAMES = "application/connect+json"


@schemathesis.hook
def before_load_schema(context, schema):
    """Puts the frames' schemas where schemathesis looks: the request's message, and of the answer the messages and the end."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            asked = operation.get("requestBody", {}).get("content", {}).get(FRAMES)
            if asked is None:
                continue
            # Whoever shows no credential is refused in the last frame; here a status of 401 would be looked for.
            operation["security"] = []
            asked["schema"] = asked["x-frames"]["0"]
            answered = operation["responses"]["200"]["content"][FRAMES]
            answered["schema"] = {
                "type": "object",
                "properties": {
                    "messages": {"type": "array", "items": answered["x-frames"]["0"]},
                    "end": answered["x-frames"]["2"],
                },
                "required": ["end"],
            }


# Whatever ends with +json is taken for JSON before it is looked at whether something else is said of it.
@schemathesis.serializer("application/json")
def written(context, value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    if context.case.media_type != FRAMES:
        return data
    return bytes([0]) + len(data).to_bytes(4, "big") + data


@schemathesis.deserializer("application/json")
def read(context, response):
    if response.headers["content-type"] != [FRAMES]:
        return response.json()
    answer = {"messages": []}
    at = 0
    while at < len(response.content):
        end = at + 5 + int.from_bytes(response.content[at + 1 : at + 5], "big")
        frame = json.loads(response.content[at + 5 : end])
        if response.content[at] == 0:
            answer["messages"].append(frame)
        else:
            answer["end"] = frame
        at = end
    return answer
