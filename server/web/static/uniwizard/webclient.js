/* Tells the game how many columns the web client's pane has, so that tables are made to fit. */
(function () {
  "use strict";
  let told = 0;

  function columns() {
    const pane = document.querySelector(".lm_content .content, #messagewindow");
    if (!pane || !pane.clientWidth) { return 0; }
    const probe = document.createElement("span");
    probe.className = "out";
    probe.style.cssText = "position:absolute;visibility:hidden;white-space:pre";
    probe.textContent = "0".repeat(40);
    pane.appendChild(probe);
    const width = probe.getBoundingClientRect().width / 40;
    probe.remove();
    // The frame of an answer, and a scroll bar.
    return width ? Math.max(30, Math.floor((pane.clientWidth - 40) / width)) : 0;
  }

  function tell() {
    const now = columns();
    // 78 is what a client has that has told nothing.
    if (now && now !== told && window.Evennia && Evennia.isConnected()) {
      told = now;
      Evennia.msg("client_options", [], { "screenwidth": now === 78 ? 77 : now });
    }
  }

  let later = 0;
  window.addEventListener("resize", function () {
    clearTimeout(later);
    later = setTimeout(tell, 300);
  });
  window.plugin_handler.add("uniwizard", {
    init: function () { setTimeout(tell, 1500); },
    onLoggedIn: function () { told = 0; setTimeout(tell, 100); }
  });
})();
