// What runs in the browser's audio thread: the microphone cut into 20 ms at 48 kHz, and a player with a short buffer.

const RATE = 48000;
const PACKET = 960;
const START = Math.round(0.09 * RATE);
const MOST = Math.round(0.3 * RATE);

class Microphone extends AudioWorkletProcessor {
  #packet = new Float32Array(PACKET);
  #filled = 0;
  #position = 0;
  #last = 0;

  process([input]) {
    const sound = input[0];
    if (!sound) return true;
    // Devices run at their own rate; between two samples a straight line is good enough for speech.
    const step = sampleRate / RATE;
    for (; this.#position < sound.length; this.#position += step) {
      const whole = Math.floor(this.#position);
      const before = whole ? sound[whole - 1] : this.#last;
      const value = before + (sound[whole] - before) * (this.#position - whole);
      this.#packet[this.#filled++] = value;
      if (this.#filled === PACKET) {
        this.port.postMessage(this.#packet, [this.#packet.buffer]);
        this.#packet = new Float32Array(PACKET);
        this.#filled = 0;
      }
    }
    this.#position -= sound.length;
    this.#last = sound[sound.length - 1];
    return true;
  }
}

class Player extends AudioWorkletProcessor {
  #waiting = [];
  #samples = 0;
  #playing = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      this.#waiting.push(data);
      this.#samples += data.length;
      // What is late is left out, or the delay would stay for good.
      while (this.#samples > MOST) this.#samples -= this.#waiting.shift().length;
      this.port.postMessage(this.#samples / RATE);
    };
  }

  process(_, [output]) {
    const out = output[0];
    if (this.#samples >= START) this.#playing = true;
    if (!this.#playing) return true;
    let at = 0;
    while (at < out.length && this.#waiting.length) {
      const part = this.#waiting[0].subarray(0, out.length - at);
      out.set(part, at);
      at += part.length;
      if (part.length === this.#waiting[0].length) this.#waiting.shift();
      else this.#waiting[0] = this.#waiting[0].subarray(part.length);
    }
    this.#samples -= at;
    if (at < out.length) this.#playing = false;
    return true;
  }
}

registerProcessor("microphone", Microphone);
registerProcessor("player", Player);
