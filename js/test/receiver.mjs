// The JavaScript end of tests/test_js_receiver.py: recorded arrivals in, decisions out.

import { PacketFormat } from "../src/index.js";
import { Controller } from "../src/rtp/control.js";
import { Receiver } from "../src/rtp/receiver.js";

const bytes = (/** @type {string} */ text) => new Uint8Array(Buffer.from(text, "base64"));

let text = "";
for await (const piece of process.stdin) text += piece;
const { format, ssrc, events, reports, bitrates } = JSON.parse(text);
const packetFormat = new PacketFormat(
  format.frames, format.codebooks, format.bits, format.hop, format.sample_rate,
);

/** Sound of a loudness that the number in its packet tells. @type {any} */
const decoder = {
  decode(/** @type {Uint8Array | null} */ packet) {
    const number = packet ? (packet[0] << 2) | (packet[1] >> 6) : 0;
    return new Float32Array(packetFormat.samples).fill((number * 37) % 50 < 25 ? 0.001 : 0.25);
  },
};
const receiver = new Receiver(decoder, packetFormat, ssrc);
const turns = [];
for (const [now, datagram] of events) {
  if (datagram !== null) {
    receiver.receive(bytes(datagram), now);
    continue;
  }
  const turn = receiver.due(now);
  receiver.sound(turn, turn.packets.map((own) => decoder.decode(own.packet)));
  const text = (/** @type {Uint8Array | null} */ packet) =>
    packet && Buffer.from(packet).toString("base64");
  const packets = turn.packets.map(({ packet, coarse, ahead }) => [
    text(packet), coarse, ahead.map(text),
  ]);
  turns.push([packets, turn.noise, receiver.buffer.depth]);
}
const { received, lost, missing, highest, jitter } = receiver.sequence;
const period = packetFormat.samples / format.sample_rate;
const controller = new Controller(bitrates, bitrates[bitrates.length - 1], period);
const settings = reports.map((/** @type {[number, number | null, number | null]} */ report) => {
  const { bitrate, redundancy } = controller.update(...report);
  return [bitrate, redundancy.distances, redundancy.codebooks];
});
const interval = receiver.sequence.interval();
console.log(
  JSON.stringify({
    turns,
    counts: receiver.counts,
    sequence: [received, lost, missing, highest, jitter, interval, receiver.sequence.burst],
    settings,
  }),
);
