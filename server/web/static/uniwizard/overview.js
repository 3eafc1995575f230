// Shows what is under way as it changes. Without this script the page shows it as it was when it was opened.
"use strict";
const part = document.getElementById("now");
const EVERY = 3000;

async function refresh() {
  // Nobody looks; and whoever is marking a text shall not lose it.
  if (!document.hidden && !String(getSelection())) {
    try {
      const answer = await fetch(part.dataset.from, {credentials: "same-origin", cache: "no-store"});
      if (answer.ok && !answer.redirected) part.innerHTML = await answer.text();
    } catch (error) {
      // The server is reloading; the next one will tell.
    }
  }
  setTimeout(refresh, EVERY);
}

if (part) setTimeout(refresh, EVERY);
