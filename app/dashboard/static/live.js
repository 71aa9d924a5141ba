// Keeps the figures fresh. Without it the page still works: reload it.
const REFRESH_MS = 2000;

async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href);
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        document.getElementById("live").replaceChildren(...fresh.getElementById("live").childNodes);
      }
    } catch {
      // The server is away for a moment; the next round asks again.
    }
  }
  setTimeout(refresh, REFRESH_MS);
}

setTimeout(refresh, REFRESH_MS);
