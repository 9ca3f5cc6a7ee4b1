# paho-mqtt in a room: it says what it is told on stdin and reports what it hears on stdout, in lines of JSON.
#
# Usage: python one_room_paho.py PORT NAME TOPIC

import json
import sys
import threading

import paho.mqtt.client as mqtt

port, name, topic = int(sys.argv[1]), sys.argv[2], sys.argv[3]
lock = threading.Lock()
kept = {}
early = set()


def report(**what):
    with lock:
        print(json.dumps(what), flush=True)


def on_connect(client, userdata, flags, reason, properties):
    if reason.is_failure:
        report(trouble=f"not let in: {reason}")


def on_subscribe(client, userdata, mid, reasons, properties):
    if [reason.value for reason in reasons] != [2]:
        report(trouble=f"subscribed with {reasons}")
    report(done="entered")


def on_publish(client, userdata, mid, reason, properties):
    # It may be told before `publish` returns.
    with lock:
        text = kept.pop(mid, None)
        if text is None:
            early.add(mid)
    if text is not None:
        report(done=text)


def on_message(client, userdata, message):
    report(heard=message.payload.decode())


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id=f"{name}-paho",
    clean_session=False,
    transport="websockets",
)
client.ws_set_options(path="/mqtt")
client.username_pw_set(name)
client.reconnect_delay_set(min_delay=1, max_delay=1)
client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_publish = on_publish
client.on_message = on_message
client.connect("127.0.0.1", port)
client.loop_start()

for line in sys.stdin:
    command = json.loads(line)
    if "enter" in command:
        client.subscribe(topic, qos=2)
        continue
    text = command["say"]
    mid = client.publish(topic, text, qos=2).mid
    with lock:
        is_kept = mid in early
        early.discard(mid)
        if not is_kept:
            kept[mid] = text
    if is_kept:
        report(done=text)
