// Everything here is a help: every page works without it.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// --- Typed digits: full width and every hyphen-like sign folded, as the server does.

const SIGNS = /[\s\-‐‑‒–—―⁃−﹘﹣－ーｰ─━]/g;
const fold = (text) =>
  text.replace(SIGNS, "").replace(/[０-９]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0));

function luhn(digits) {
  let total = 0;
  [...digits].reverse().forEach((digit, place) => {
    const value = Number(digit) * (place % 2 ? 2 : 1);
    total += value > 9 ? value - 9 : value;
  });
  return total % 10 === 0;
}

const BRANDS = [
  ["Visa", /^4/],
  ["Mastercard", /^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/],
  ["JCB", /^(352[89]|35[3-8]|308[89]|309[0-46-9]|310[0-2]|311[2-9]|3120|315[89]|333[7-9]|334)/],
  ["American Express", /^3[47]/],
  ["Diners Club", /^(30[0-5]|3[689])/],
  ["Discover", /^(6011|64[4-9]|65)/],
  ["UnionPay", /^(62|81[0-7])/],
];
const brandOf = (digits) => (BRANDS.find(([, prefix]) => prefix.test(digits)) || [""])[0];

// --- Four boxes that behave as one field.

function joinBoxes(pan) {
  const boxes = $$("input", pan);
  const room = (place) => (place < boxes.length - 1 ? 4 : Infinity);

  // Put text into a box; what it has no room for goes on into the next one.
  function spread(place, text, caret) {
    const box = boxes[place];
    const rest = text.slice(room(place));
    box.value = text.slice(0, room(place));
    if (rest) spread(place + 1, rest + fold(boxes[place + 1].value), Math.max(caret - 4, 0));
    if (caret <= room(place)) {
      box.focus();
      box.setSelectionRange(caret, caret);
    }
  }

  function settle(place) {
    const box = boxes[place];
    const text = fold(box.value);
    // Letters stay as they are: the server says what is wrong with them.
    if (/\D/.test(text)) return;
    const caret = fold(box.value.slice(0, box.selectionStart)).length;
    if (text !== box.value || text.length > room(place)) spread(place, text, caret);
    if (box.value.length === room(place) && caret === room(place)) boxes[place + 1].select();
  }

  boxes.forEach((box, place) => {
    box.addEventListener("input", (event) => event.isComposing || settle(place));
    box.addEventListener("compositionend", () => settle(place));
    box.addEventListener("paste", (event) => {
      const text = fold(event.clipboardData.getData("text"));
      if (!/^\d+$/.test(text)) return;
      event.preventDefault();
      if (text.length >= 12) {
        boxes.forEach((other) => (other.value = ""));
        spread(0, text, text.length);
      } else {
        const [start, end] = [box.selectionStart, box.selectionEnd];
        spread(place, box.value.slice(0, start) + text + box.value.slice(end), start + text.length);
      }
      pan.dispatchEvent(new Event("input", { bubbles: true }));
    });
    box.addEventListener("keydown", (event) => {
      if (event.isComposing || box.selectionStart !== box.selectionEnd) return;
      const [before, after] = [boxes[place - 1], boxes[place + 1]];
      const at = box.selectionStart;
      if (before && at === 0 && ["Backspace", "ArrowLeft"].includes(event.key)) {
        event.preventDefault();
        if (event.key === "Backspace") {
          before.value = before.value.slice(0, -1);
          pan.dispatchEvent(new Event("input", { bubbles: true }));
        }
        before.focus();
        before.setSelectionRange(before.value.length, before.value.length);
      } else if (after && at === box.value.length && event.key === "ArrowRight") {
        event.preventDefault();
        after.focus();
        after.setSelectionRange(0, 0);
      }
    });
  });
  return () => fold(boxes.map((box) => box.value).join(""));
}

// --- The brand as soon as it is known, and cards that look the same.

function watchCard(pan) {
  const form = pan.closest("form");
  const digits = joinBoxes(pan);
  const likely = $("#likely");
  let asked = "";

  function expiry() {
    const [month, year] = ["exp_month", "exp_year"].map((name) => fold(form.elements[name].value));
    if (!/^(0?[1-9]|1[0-2])$/.test(month) || !/^(\d\d|\d{4})$/.test(year)) return "";
    return (year.length === 2 ? "20" : "") + year + month.padStart(2, "0");
  }

  // Carries no more than a mask shows.
  async function look(number) {
    const known = number.length >= 14 && luhn(number) && expiry();
    const query = known && `?prefix=${number.slice(0, 2)}&last4=${number.slice(-4)}&expiry=${known}`;
    if (query === asked) return;
    asked = query;
    likely.hidden = true;
    if (!query) return;
    const answer = await fetch(pan.dataset.likeness + query).catch(() => null);
    if (!answer || !answer.ok || answer.redirected || asked !== query) return;
    const others = (await answer.json()).likely.filter((one) => one.url !== location.pathname);
    likely.replaceChildren(
      ...others.map((one) => {
        const link = Object.assign(document.createElement("a"), { href: one.url, textContent: "登録内容を見る" });
        const line = document.createElement("p");
        link.target = "_blank";
        line.append(`${one.text} `, link);
        return line;
      }),
    );
    likely.hidden = !others.length;
  }

  form.addEventListener("input", () => {
    const number = digits();
    const brand = brandOf(number);
    if ($("#brand").textContent !== brand) $("#brand").textContent = brand;
    look(number);
  });
}

// --- Confirmations: the browser's own dialog instead of the checkbox.

function confirmByDialog(part) {
  const box = $("input", part);
  const form = box.form;
  const answer = Object.assign(document.createElement("input"), { type: "hidden", name: box.name });
  form.append(answer);
  part.remove();
  form.addEventListener("submit", (event) => {
    answer.value = confirm(part.dataset.words) ? "y" : "";
    if (!answer.value) event.preventDefault();
  });
}

// --- 表示: a code that is being typed, for eyes that want to check it.

function revealOnPress(button) {
  const field = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const reveal = field.type === "password";
    field.type = reveal ? "text" : "password";
    button.textContent = reveal ? "隠す" : "表示";
  });
}

// --- Passkeys: the browser asks for one, its answer goes into the form.

const bytesOf = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

// A password manager's extension may put something else into a field.
function textOf(field) {
  if (Object.prototype.toString.call(field) !== "[object ArrayBuffer]") throw new TypeError("no bytes");
  const text = String.fromCharCode(...new Uint8Array(field));
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const named = (one) => ({ ...one, id: bytesOf(one.id) });

function passkeyOptions(text) {
  const options = JSON.parse(text);
  options.challenge = bytesOf(options.challenge);
  if (options.user) options.user = named(options.user);
  for (const list of ["allowCredentials", "excludeCredentials"]) {
    if (options[list]) options[list] = options[list].map(named);
  }
  return options;
}

// Field by field: extensions also put a toJSON of their own in place of the browser's.
const PARTS = {
  create: ["clientDataJSON", "attestationObject"],
  get: ["clientDataJSON", "authenticatorData", "signature"],
};

function passkeyAnswer(verb, answer) {
  const id = textOf(answer.rawId);
  const response = Object.fromEntries(PARTS[verb].map((part) => [part, textOf(answer.response[part])]));
  return JSON.stringify({ id, rawId: id, type: "public-key", response });
}

function askPasskey(form) {
  const [button, hint] = [$("button", form), $(".hint", form)];
  const verb = form.dataset.passkey;
  if (!window.PublicKeyCredential) {
    hint.textContent = "このブラウザーではパスキーを使用できません。";
    return;
  }
  hint.textContent = "";
  button.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    hint.textContent = "";
    hint.className = "hint";
    try {
      const publicKey = passkeyOptions(form.dataset.options);
      const answer = await navigator.credentials[verb]({ publicKey });
      form.elements.credential.value = passkeyAnswer(verb, answer);
      form.submit();
    } catch (error) {
      hint.textContent =
        error instanceof DOMException
          ? "パスキーを確認できませんでした。もう一度お試しください。"
          : "パスキーの応答を読み取れませんでした。ブラウザーの拡張機能（パスワード管理など）を無効にして、もう一度お試しください。";
      hint.className = "errors";
    }
    button.disabled = false;
  });
}

// --- The search: "/" leads to it, and no card number leaves it.

// 12 digits or more with anything but letters between them, as the server reads them.
const RUN = /\p{Nd}(?:(?:[^\p{L}\p{Nd}]|[ーｰ])*\p{Nd}){11,}/gu;

function watchSearch(box) {
  box.form.addEventListener("submit", () => {
    box.value = box.value.replace(RUN, (run) => fold(run.replace(/\P{Nd}/gu, "")).slice(-4));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    box.focus();
  });
}

// --- Two minutes before the login ends, in every tab at once.

function watchIdle(warning) {
  const lasts = Number(document.body.dataset.idle) * 1000;
  const tabs = new BroadcastChannel("still-here");
  const button = $("button", warning);
  let since = Date.now();
  const begin = () => {
    since = Date.now();
    warning.hidden = true;
  };
  tabs.onmessage = begin;
  tabs.postMessage("");
  button.addEventListener("click", async () => {
    const body = new URLSearchParams({ csrf_token: $("input[name=csrf_token]").value });
    const answer = await fetch(button.dataset.url, { method: "POST", body }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return leave();
    begin();
    tabs.postMessage("");
  });
  setInterval(() => {
    const idle = Date.now() - since;
    if (idle > lasts) leave();
    else if (idle > lasts - 120_000) warning.hidden = false;
  }, 1000);
}

// Asking for the page anew is what tells a live login from a dead one.
const leave = () => location.replace(location.pathname + location.search);

// --- Back after logout: a page from the back/forward cache is never shown as it was.

addEventListener("pagehide", (event) => (document.body.hidden = event.persisted));
addEventListener("pageshow", (event) => event.persisted && leave());

$$("form").forEach((form) => (form.noValidate = true));
$$(".confirm").forEach(confirmByDialog);
$$("[data-reveal]").forEach(revealOnPress);
$$("[data-passkey]").forEach(askPasskey);
$$(".pan").forEach(watchCard);
$$("#q").forEach(watchSearch);
$$("#idle").forEach(watchIdle);
$$("#summary").forEach((summary) => summary.focus());
