// Adds new messages as they come, and gives each e-mail's frame the height of what it shows.
const frames = (within) => within.querySelectorAll("iframe");
const fit = (frame) => {
  const height = frame.contentDocument?.documentElement?.scrollHeight;
  if (height) frame.style.height = `${height}px`;
};

function show({ last, cards }) {
  document.body.dataset.last = last;
  for (const [channel, added] of Object.entries(cards)) {
    const list = document.getElementById(channel);
    list.insertAdjacentHTML("afterbegin", added.join(""));
    document.getElementById(`${channel}-count`).textContent = list.children.length;
  }
}

async function look() {
  const state = document.getElementById("state");
  try {
    const answer = await fetch(`/messages/after/${document.body.dataset.last}`);
    if (!answer.ok) throw new Error(answer.status);
    show(await answer.json());
    state.textContent = "Live";
  } catch {
    state.textContent = "The sandbox has stopped";
  }
  setTimeout(look, 1000);
}

document.addEventListener("load", (event) => event.target.matches?.("iframe") && fit(event.target), true);
for (const kind of ["toggle", "change"])
  document.addEventListener(kind, (event) => frames(event.target.closest("details")).forEach(fit), true);
addEventListener("resize", () => frames(document).forEach(fit));
frames(document).forEach(fit);
look();
