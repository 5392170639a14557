/* What the page does beyond its HTML: it keeps itself fresh, and shows times in the reader's own zone.

   Regions marked [data-live] are replaced by those of a fresh copy of the same page. There is no polling in a hidden
   tab, none while paused, and less and less of it while the answers are errors: what was shown last stays. */
(function () {
  "use strict";

  var EVERY = 3000, SLOWEST = 60000;
  var control = document.getElementById("live");
  var trouble = document.getElementById("trouble");
  var wait = EVERY, timer = null, asking = false;

  function localTimes(root) {
    root.querySelectorAll("time[data-style]").forEach(function (one) {
      var at = new Date(one.dateTime);
      var style = one.dataset.style;
      var today = at.toDateString() === new Date().toDateString();
      var day = today && style !== "full" ? "" : at.toLocaleDateString([], {day: "numeric", month: "short"}) + ", ";
      if (style === "full" && at.getFullYear() !== new Date().getFullYear()) { day = at.toLocaleDateString() + ", "; }
      var options = {hour: "2-digit", minute: "2-digit", hourCycle: "h23"};
      if (style !== "minute") { options.second = "2-digit"; }
      one.textContent = day + at.toLocaleTimeString([], options);
    });
  }

  function localAxes(root) {
    root.querySelectorAll("text[data-time]").forEach(function (one) {
      var at = new Date(one.dataset.time);
      one.textContent = one.textContent.includes(":")
        ? at.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", hourCycle: "h23"})
        : at.toLocaleDateString([], {day: "numeric", month: "short"});
    });
  }

  function isPaused() { return control !== null && control.dataset.state === "paused"; }

  function show(state, text) {
    control.dataset.state = state;
    control.querySelector("[data-text]").textContent = text;
  }

  function sayTrouble(text) {
    trouble.querySelector("[data-text]").textContent = text;
    trouble.hidden = false;
    if (!isPaused()) { show("trouble", "Out of date"); }
  }

  function isInUse(region) {
    var selection = document.getSelection();
    var isSelected = selection && !selection.isCollapsed && selection.anchorNode && region.contains(selection.anchorNode);
    return isSelected || (region.contains(document.activeElement) && document.activeElement !== document.body);
  }

  function refresh(fresh) {
    document.querySelectorAll("[data-live]").forEach(function (region) {
      var next = fresh.getElementById(region.id);
      if (next === null || isInUse(region)) { return; }
      localTimes(next);
      localAxes(next);
      if (next.innerHTML !== region.innerHTML) { region.replaceChildren.apply(region, Array.from(next.childNodes)); }
    });
    trouble.hidden = true;
    if (!isPaused()) { show("on", "Live"); }
  }

  function ask() {
    if (asking || document.hidden || isPaused()) { return; }
    asking = true;
    fetch(location.href, {cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(10000)})
      .then(function (answer) {
        return answer.text().then(function (text) {
          var fresh = new DOMParser().parseFromString(text, "text/html");
          if (answer.ok) { wait = EVERY; refresh(fresh); return; }
          var said = fresh.querySelector("[data-error]");
          throw new Error(said ? said.textContent.trim() : "The page answered " + answer.status + ".");
        });
      })
      .catch(function (error) {
        wait = Math.min(2 * wait, SLOWEST);
        var isOurs = error instanceof Error && error.constructor === Error;
        sayTrouble((isOurs ? error.message : "The page does not answer.") + " What you see may be out of date.");
      })
      .finally(function () { asking = false; plan(); });
  }

  function plan() {
    clearTimeout(timer);
    if (!document.hidden && !isPaused()) { timer = setTimeout(ask, wait); }
  }

  localTimes(document);
  localAxes(document);
  document.querySelectorAll("[data-check-all]").forEach(function (all) {
    all.hidden = false;
    all.addEventListener("change", function () {
      all.closest("form").querySelectorAll("input[name=" + all.dataset.checkAll + "]").forEach(function (one) {
        one.checked = all.checked;
      });
    });
  });
  if (control === null || document.querySelector("[data-live]") === null) { return; }
  control.hidden = false;
  control.querySelector("button").addEventListener("click", function (event) {
    var pausing = !isPaused();
    show(pausing ? "paused" : "on", pausing ? "Paused" : "Live");
    event.currentTarget.textContent = pausing ? "Resume" : "Pause";
    wait = EVERY;
    if (pausing) { clearTimeout(timer); } else { ask(); }
  });
  document.addEventListener("visibilitychange", function () {
    if (document.hidden) { clearTimeout(timer); } else { wait = EVERY; ask(); }
  });
  plan();
}());
