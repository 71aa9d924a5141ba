// Keeps the page's live part fresh. Without it the page still works: reload it.
const SILENCE_MS = 12000; // no stream for so long is worth a word
const AGAIN_MS = 5000; // until a stream that was refused is asked for again

const live = document.getElementById("live");
const liveness = document.getElementById("liveness");
let stream;
let silence;

function say(state, words) {
  // Only what is new: a screen reader reads out whatever is written there.
  if (liveness.textContent === words) return;
  liveness.className = state;
  liveness.textContent = words;
}

function fresh() {
  clearTimeout(silence);
  silence = setTimeout(() => say("lost", "Not live: the server does not answer"), SILENCE_MS);
  say("live", "Live");
}

function show(event) {
  fresh();
  Idiomorph.morph(live, JSON.parse(event.data), {
    morphStyle: "innerHTML",
    // What a reader has opened stays open.
    callbacks: { beforeAttributeUpdated: (name) => name !== "open" },
  });
}

function listen() {
  stream?.close();
  clearTimeout(silence);
  if (document.hidden) return;
  silence = setTimeout(() => say("lost", "Not live: the server does not answer"), SILENCE_MS);
  stream = new EventSource(live.dataset.source);
  stream.onopen = fresh;
  stream.onmessage = show;
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
  };
}

document.addEventListener("visibilitychange", listen);
listen();
