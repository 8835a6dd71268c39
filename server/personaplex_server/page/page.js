// A call from the browser, without anything that would have to be built: WebCodecs does the Opus, ogg.js the pages.

import { OggReader, OggWriter } from "./ogg.js";

const RATE = 48000;
const PACKET_SAMPLES = 960;
const [HANDSHAKE, AUDIO, TEXT, METADATA, ERROR] = [0, 1, 2, 4, 5];
const COME_BACK_MS = 25000;
const START_MS = 10000;

const $ = (id) => document.getElementById(id);
const address = new URL(".", location.href);
let call = null;

function show(state, words) {
  document.body.dataset.state = state;
  $("status").textContent = words;
  $("talk").disabled = state !== "idle";
  $("end").disabled = state === "idle";
}

function level(samples) {
  let sum = 0;
  for (const value of samples) sum += value * value;
  // From -60 dB to full scale.
  return Math.max(0, 1 + Math.log10(Math.sqrt(sum / samples.length) + 1e-9) / 3);
}

async function ask(path) {
  const token = $("token").value;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(new URL(path, address), { headers });
  if (answer.status === 401) $("token-row").hidden = false;
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer.json();
}

async function look() {
  try {
    const health = await ask("health");
    const told = {
      loading: `The model is loading: ${Math.round(health.progress * 100)} %.`,
      ready: `Ready: ${health.free} of ${health.slots} lines are free.`,
      busy: `All lines are taken, and ${health.queue} wait.`,
    };
    $("server").textContent = told[health.state] ?? health.reason ?? health.state;
    if ($("voice").length === 1 && health.state !== "loading") {
      const { voices } = await ask("api/voices");
      for (const { name, label } of voices) $("voice").add(new Option(label, name));
    }
  } catch (error) {
    $("server").textContent = error.message;
  }
}

function within(milliseconds, promise, words) {
  const late = new Promise((_, refuse) => setTimeout(() => refuse(new Error(words)), milliseconds));
  return Promise.race([promise, late]);
}

class Call {
  #closing = false;
  #text = "";
  #writer = null;
  #reader = new OggReader();
  #time = 0;
  #buffered = 0;
  #token = null;
  #brokenAt = 0;

  async begin() {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers give the microphone only to pages from this computer or over https.");
    }
    if (!window.AudioEncoder || !window.AudioDecoder) {
      throw new Error("This browser has no WebCodecs for sound. Use a newer Chromium or Firefox.");
    }
    const wanted = { channelCount: 1, echoCancellation: true, noiseSuppression: true };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    // Two contexts: the microphone's keeps its device's rate, which some browsers insist on.
    this.input = new AudioContext();
    this.output = new AudioContext({ sampleRate: RATE });
    for (const context of [this.input, this.output]) {
      await context.audioWorklet.addModule(new URL("page/worklets.js", address));
      // Without a loudspeaker Firefox waits for one, without a word.
      await within(START_MS, context.resume(), "The browser found no loudspeaker to play to.");
    }
    this.encoder = new AudioEncoder({ output: (chunk) => this.#send(chunk), error: (e) => this.end(e.message) });
    this.encoder.configure({
      codec: "opus", sampleRate: RATE, numberOfChannels: 1, bitrate: 32000,
      opus: { application: "voip", frameDuration: 20000 },
    });
    this.microphone = new AudioWorkletNode(this.input, "microphone", { numberOfOutputs: 0 });
    this.microphone.port.onmessage = ({ data }) => this.#said(data);
    this.input.createMediaStreamSource(this.stream).connect(this.microphone);
    this.player = new AudioWorkletNode(this.output, "player", { numberOfInputs: 0, outputChannelCount: [1] });
    this.player.port.onmessage = ({ data }) => { this.#buffered = data; };
    this.player.connect(this.output.destination);
    this.#connect();
  }

  #connect() {
    const url = new URL("api/chat", address);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("metadata", "1");
    url.searchParams.set("resume", this.#token ?? "1");
    if ($("voice").value) url.searchParams.set("voice_prompt", $("voice").value);
    if ($("role").value.trim()) url.searchParams.set("text_prompt", $("role").value.trim());
    if ($("echo").checked) url.searchParams.set("engine", "echo");
    const token = $("token").value;
    this.decoder?.close();
    this.decoder = new AudioDecoder({ output: (data) => this.#heard(data), error: (e) => this.end(e.message) });
    this.decoder.configure({ codec: "opus", sampleRate: RATE, numberOfChannels: 1 });
    this.#reader = new OggReader();
    this.#writer = null;
    this.socket = new WebSocket(url, token ? ["personaplex", `token.${token}`] : []);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.#told(new Uint8Array(data));
    this.socket.onclose = (event) => this.#closed(event);
  }

  #told(message) {
    const [kind, payload] = [message[0], message.subarray(1)];
    if (kind === HANDSHAKE) {
      this.#brokenAt = 0;
      this.#writer = new OggWriter();
      this.socket.send(Uint8Array.of(AUDIO, ...this.#writer.head()));
      show("talking", "Talk now.");
    } else if (kind === AUDIO) {
      for (const packet of this.#reader.push(payload)) {
        this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: this.#time, data: packet }));
        this.#time += 80000;
      }
    } else if (kind === TEXT) {
      this.#text += new TextDecoder().decode(payload);
      $("transcript").textContent = this.#text;
    } else if (kind === METADATA) {
      this.#figures(JSON.parse(new TextDecoder().decode(payload)));
    } else if (kind === ERROR) {
      this.#closing = true;
      this.reason = new TextDecoder().decode(payload);
    }
  }

  #figures(told) {
    if (told.resume) this.#token = told.resume;
    if (told.position) show("waiting", `All lines are taken. You are number ${told.position} in line.`);
    if (told.lag_ms === undefined) return;
    const delay = Math.round(told.lag_ms + this.#buffered * 1000);
    $("delay").textContent = `${delay} ms (${Math.round(told.lag_ms)} ms at the server)`;
    $("dropped").textContent = `${told.dropped} frames of 80 ms`;
  }

  #said(samples) {
    $("mine").value = level(samples);
    if (!this.#writer || this.socket.readyState !== WebSocket.OPEN) return;
    const timestamp = performance.now() * 1000;
    const data = new AudioData({
      format: "f32", sampleRate: RATE, numberOfFrames: samples.length, numberOfChannels: 1, timestamp, data: samples,
    });
    this.encoder.encode(data);
    data.close();
  }

  #send(chunk) {
    if (!this.#writer || this.socket.readyState !== WebSocket.OPEN) return;
    const packet = new Uint8Array(chunk.byteLength);
    chunk.copyTo(packet);
    const samples = chunk.duration ? Math.round((chunk.duration * RATE) / 1e6) : PACKET_SAMPLES;
    this.socket.send(Uint8Array.of(AUDIO, ...this.#writer.page(packet, samples)));
  }

  #heard(data) {
    const samples = new Float32Array(data.numberOfFrames);
    data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    data.close();
    $("theirs").value = level(samples);
    this.player.port.postMessage(samples, [samples.buffer]);
  }

  #closed(event) {
    const now = performance.now();
    this.#brokenAt ||= now;
    const mayComeBack = this.#token && !this.#closing && event.code === 1006;
    if (mayComeBack && now - this.#brokenAt < COME_BACK_MS) {
      show("waiting", "The connection broke. Trying to come back …");
      setTimeout(() => this.#closing || this.#connect(), 500);
      return;
    }
    this.end(this.reason ?? (this.#closing ? "The call is over." : "The connection broke."));
  }

  end(words = "The call is over.") {
    if (call !== this) return;
    call = null;
    this.#closing = true;
    this.socket?.close(1000);
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    for (const codec of [this.encoder, this.decoder]) if (codec && codec.state !== "closed") codec.close();
    this.input?.close();
    this.output?.close();
    $("mine").value = $("theirs").value = 0;
    show("idle", words);
    look();
  }
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (call) return;
  const mine = new Call();
  call = mine;
  $("transcript").textContent = "";
  show("waiting", "Connecting …");
  try {
    await mine.begin();
  } catch (error) {
    mine.end(error.message);
  }
});
$("end").addEventListener("click", () => call?.end());
$("token").addEventListener("change", look);

const given = new URLSearchParams(location.search).get("token") ?? new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  $("token").value = given;
  // Not into the history, nor to whoever looks over a shoulder.
  history.replaceState(null, "", location.pathname);
}
look();
setInterval(() => call || look(), 5000);
