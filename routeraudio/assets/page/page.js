// Records with MediaRecorder, streams to /v1/listen, shows what comes back. What is shown is always text, never HTML.

const $ = (id) => document.getElementById(id);
const CHUNK_MS = 100;
const BITS_PER_SECOND = 64000; // twice what a telephone sounds good at; recognisers hear what people do not
const MICROPHONE = { channelCount: 1, echoCancellation: false, noiseSuppression: false }; // made for ears, they blur words
const ENCODINGS = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/ogg;codecs=opus", "ogg_opus"],
];

let models = [];
let stop = null; // ends the running stream, or the wait for the microphone; null: none runs

function cell(row, text, className = "") {
  const made = row.insertCell();
  made.textContent = text;
  made.className = className;
}

function say(text, isBad = false) {
  $("state").textContent = text;
  $("state").className = isBad ? "bad" : "";
}

async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
}

async function fill() {
  const { providers } = await get("/v1/providers");
  ({ models } = await get("/v1/models"));
  for (const { name, title } of providers) $("provider").add(new Option(title, name, false, name === "local"));
  const titles = Object.fromEntries(providers.map(({ name, title }) => [name, title]));
  const body = $("models").tBodies[0];
  for (const model of models) {
    const row = body.insertRow();
    cell(row, titles[model.provider]);
    cell(row, model.id + (model.default ? " (default)" : ""));
    cell(row, model.languages.length, "number");
    const { partials, diarize, turn_end } = model.support;
    for (const how of [partials, diarize, turn_end]) cell(row, how === "ignored" ? "–" : "yes");
    cell(row, model.price_per_hour_usd ?? "–", "number");
  }
  choose();
}

function choose() {
  const provider = $("provider").value;
  const own = models.filter((model) => model.provider === provider);
  $("model").replaceChildren(...own.map(({ id, default: isDefault }) => new Option(id, id, isDefault, isDefault)));
}

async function search() {
  const query = $("search").value.trim();
  $("languages").hidden = !query;
  $("models").hidden = !!query;
  if (!query) return;
  const { languages } = await get(`/v1/languages?q=${encodeURIComponent(query)}`);
  if ($("search").value.trim() !== query) return; // a later key has been pressed meanwhile
  const body = $("languages").tBodies[0];
  body.replaceChildren();
  for (const { code, name, native_name, offers } of languages) {
    const row = body.insertRow();
    cell(row, name === native_name ? name : `${name} · ${native_name}`);
    cell(row, code);
    cell(row, offers.map(({ provider, model }) => `${provider} ${model}`).join(", "));
  }
}

function address(encoding, sampleRate) {
  const wish = new URLSearchParams({
    provider: $("provider").value, model: $("model").value, language: $("language").value.trim() || "en",
    encoding, sample_rate: sampleRate, partial_results: $("partials").checked, diarize: $("diarize").checked,
  });
  if ($("key").value) wish.set("api_key", $("key").value);
  const base = new URL("/v1/listen", location.href);
  base.protocol = base.protocol === "https:" ? "wss:" : "ws:";
  return `${base}?${wish}`;
}

function show(message) {
  if (message.type === "transcript" && message.is_partial) {
    $("partial").textContent = message.transcript;
  } else if (message.type === "transcript") {
    $("partial").textContent = "";
    const line = document.createElement("li");
    const at = document.createElement("time");
    at.textContent = message.start_time.toFixed(1);
    line.append(at);
    const speaker = message.words?.find((word) => word.speaker !== null)?.speaker;
    if (speaker) {
      const who = document.createElement("b");
      who.textContent = speaker;
      line.append(who);
    }
    line.append(message.transcript);
    $("finals").append(line);
    line.scrollIntoView({ block: "nearest" });
  } else if (message.type === "error") {
    say(message.error, true);
  }
}

function stopped() {
  stop = null;
  $("toggle").textContent = "Start";
}

async function start() {
  const [mimeType, encoding] = ENCODINGS.find(([type]) => window.MediaRecorder?.isTypeSupported(type)) ?? [];
  if (!encoding) return say("This browser records neither WebM nor Ogg.", true);
  let microphone;
  let isWanted = true; // until a second click, which may come while the browser still asks for the microphone
  stop = () => (isWanted = false);
  $("toggle").textContent = "Stop";
  try {
    microphone = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
  } catch (error) {
    stopped();
    return say(`No microphone: ${error.message}`, true);
  }
  if (!isWanted) {
    for (const track of microphone.getTracks()) track.stop();
    stopped();
    return say("stopped");
  }
  const socket = new WebSocket(address(encoding, 48000));
  const recorder = new MediaRecorder(microphone, { mimeType, audioBitsPerSecond: BITS_PER_SECOND });
  const isOpen = () => socket.readyState === WebSocket.OPEN;
  let heard = "connecting …";
  recorder.ondataavailable = ({ data }) => data.size && isOpen() && socket.send(data); // blobs keep their order
  recorder.onstop = () => isOpen() && socket.send('{"type":"end_of_stream"}');
  const finish = () => {
    if (recorder.state !== "inactive") recorder.stop();
    for (const track of microphone.getTracks()) track.stop();
    if (isOpen()) say("waiting for the last words …");
  };
  socket.onopen = () => {
    recorder.start(CHUNK_MS);
    say("listening");
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "error") heard = message.error;
    show(message);
  };
  socket.onclose = ({ code }) => {
    finish();
    stopped();
    $("partial").textContent = "";
    if (code === 1000) say("done");
    else say(heard === "connecting …" ? `the connection was refused or lost (${code})` : `${heard} (${code})`, true);
  };
  $("finals").replaceChildren();
  say(heard);
  stop = finish;
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (stop) stop();
  else start();
});
$("provider").addEventListener("change", choose);
$("search").addEventListener("input", search);
fill().catch((error) => say(`The catalogue could not be read: ${error.message}`, true));
