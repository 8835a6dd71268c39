// Ogg pages around Opus packets, written and read: the browser's codec knows packets only.

const CRC = new Uint32Array(256).map((_, byte) => {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit++) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value >>> 0;
});

function checksum(page) {
  let value = 0;
  for (const byte of page) value = ((value << 8) ^ CRC[(value >>> 24) ^ byte]) >>> 0;
  return value;
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const ascii = (text) => Uint8Array.from(text, (sign) => sign.charCodeAt(0));

export class OggWriter {
  #serial = (Math.random() * 0xffffffff) >>> 0;
  #sequence = 0;
  #granule = 0;

  // The two header pages, to be sent before any sound.
  head() {
    const id = new Uint8Array(19);
    id.set(ascii("OpusHead"));
    const view = new DataView(id.buffer);
    view.setUint8(8, 1);
    view.setUint8(9, 1);
    view.setUint16(10, 312, true);
    view.setUint32(12, 48000, true);
    const tags = joined([ascii("OpusTags"), Uint8Array.of(4, 0, 0, 0), ascii("page"), new Uint8Array(4)]);
    return joined([this.#page(id, 2), this.#page(tags, 0)]);
  }

  // One page that holds one packet of `samples` at 48 kHz.
  page(packet, samples) {
    this.#granule += samples;
    return this.#page(packet, 0);
  }

  #page(packet, flags) {
    const segments = Math.floor(packet.length / 255) + 1;
    const page = new Uint8Array(27 + segments + packet.length);
    const view = new DataView(page.buffer);
    page.set(ascii("OggS"));
    view.setUint8(5, flags);
    view.setBigUint64(6, BigInt(this.#granule), true);
    view.setUint32(14, this.#serial, true);
    view.setUint32(18, this.#sequence++, true);
    view.setUint8(26, segments);
    page.fill(255, 27, 27 + segments - 1);
    page[26 + segments] = packet.length % 255;
    page.set(packet, 27 + segments);
    view.setUint32(22, checksum(page), true);
    return page;
  }
}

export class OggReader {
  #rest = new Uint8Array(0);
  #begun = [];

  // Take bytes, return the sound packets that are whole by now.
  push(bytes) {
    let data = joined([this.#rest, bytes]);
    const packets = [];
    while (data.length >= 27) {
      if (String.fromCharCode(...data.subarray(0, 4)) !== "OggS") {
        data = data.subarray(1);
        continue;
      }
      const segments = data[26];
      if (data.length < 27 + segments) break;
      const lacing = data.subarray(27, 27 + segments);
      let at = 27 + segments;
      const end = at + lacing.reduce((sum, length) => sum + length, 0);
      if (data.length < end) break;
      for (const length of lacing) {
        this.#begun.push(data.slice(at, at + length));
        at += length;
        if (length < 255) {
          const packet = joined(this.#begun);
          this.#begun = [];
          if (!isHeader(packet)) packets.push(packet);
        }
      }
      data = data.subarray(end);
    }
    this.#rest = data.slice();
    return packets;
  }
}

function isHeader(packet) {
  const start = String.fromCharCode(...packet.subarray(0, 8));
  return packet.length === 0 || start === "OpusHead" || start === "OpusTags";
}
