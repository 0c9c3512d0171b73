(() => {
  "use strict";
  const tiles = [...document.querySelectorAll("details")];
  const failing = document.getElementById("failing");
  const open = document.getElementById("open");
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";

  document.querySelector(".controls").hidden = false;
  failing.addEventListener("click", () => {
    press(failing, !pressed(failing));
    document.body.classList.toggle("failing", pressed(failing));
  });
  open.addEventListener("click", () => {
    press(open, !pressed(open));
    tiles.forEach((tile) => { tile.open = pressed(open); });
  });
  document.addEventListener("keydown", (event) => {
    const tile = event.key === "Escape" && document.activeElement && document.activeElement.closest("details[open]");
    if (tile) tile.open = false;
  });

  // Open all details for printing, and close them afterwards.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = tiles.filter((tile) => !tile.open);
    closed.forEach((tile) => { tile.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((tile) => { tile.open = false; }));
})();
