// Everything here is a help: every page works without it.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// The rules of the page's card form, as the server has them.
const RULES = JSON.parse($("[data-rules]")?.dataset.rules ?? "null");

// --- Typed digits: full width folded, and signs that mean nothing, as the server does.

const ascii = (text) =>
  text.replace(/[０-９]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0));
const without = (signs, text) => [...text].filter((c) => !signs.includes(c)).join("");
const fold = (text) => ascii(without(RULES.signs, text));

function luhn(digits) {
  let total = 0;
  [...digits].reverse().forEach((digit, place) => {
    const value = Number(digit) * (place % 2 ? 2 : 1);
    total += value > 9 ? value - 9 : value;
  });
  return total % 10 === 0;
}

const claims = (brand, digits) =>
  brand.prefixes.some(([low, high]) => {
    const start = digits.slice(0, low.length);
    return low <= start && start <= high;
  });
const brandOf = (digits) => RULES.brands.find((brand) => claims(brand, digits));

// --- What is wrong with a form, in the server's order and words; "" is nothing.

const whole = (pattern) => new RegExp(`^(?:${pattern})$`, "u");

function nameOf(text) {
  const seen = [...without(RULES.unseen, text)];
  const blank = (c) => RULES.blanks.includes(c);
  while (seen.length && blank(seen[0])) seen.shift();
  while (seen.length && blank(seen[seen.length - 1])) seen.pop();
  return seen.join("");
}

function nameFault(name) {
  const { most, digits, group, code } = RULES.name;
  if (!name) return RULES.texts.name_empty;
  if ([...name].length > most) return RULES.texts.name_long;
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(name)) return RULES.texts.name_characters;
  const flat = name.normalize("NFKC");
  const many = flat.replace(/\P{Nd}/gu, "").length >= digits;
  const noted = new RegExp(group, "u").test(flat) || new RegExp(code, "iu").test(flat);
  return many || noted ? RULES.texts.name_digits : "";
}

function phoneOf(text) {
  const plain = ascii(without(RULES.blanks + RULES.unseen, text)).replace(
    /[（）．＋]/g,
    (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0),
  );
  const phone = [...plain].map((c) => (RULES.hyphens.includes(c) ? "-" : c)).join("");
  return RULES.phone.ways.reduce(
    (text, [way, written]) => text.replace(new RegExp(way, "gu"), written),
    phone,
  );
}

function phoneFault(phone) {
  if (!phone) return RULES.texts.phone_empty;
  return whole(RULES.phone.form).test(phone) ? "" : RULES.texts.phone_form;
}

function numberOf(boxes) {
  const parts = boxes.map((box) => fold(box.value));
  const repeated = parts[0].length >= 13 && parts.every((part) => part === parts[0]);
  return repeated ? parts[0] : parts.join("");
}

// The reason, as a key of the texts.
function numberReason(digits) {
  if (!digits) return "empty";
  if (!/^[0-9]+$/.test(digits)) return "not_digits";
  const brand = brandOf(digits);
  if (!brand) return "brand";
  if (!brand.lengths.includes(digits.length)) return "length";
  return brand.luhn && !luhn(digits) ? "check_digit" : "";
}

function readExpiry(form) {
  const typed = (name, unit) => {
    const text = form.elements[name].value;
    const signs = without(RULES.hyphens, RULES.signs);
    return ascii(without(signs, text)).replace(new RegExp(`${unit}$`), "");
  };
  let [month, year] = [typed("exp_month", "月"), typed("exp_year", "年")];
  const both = month.match(/^([0-9]{1,2})[/／]([0-9]{2}|[0-9]{4})$/);
  if (both && (!year || year.slice(-2) === both[2].slice(-2))) {
    [month, year] = [both[1], year || both[2]];
  }
  if (!month && !year) return { reason: "empty" };
  if (!month || !year) return { reason: "half" };
  if (!/^(0?[1-9]|1[0-2])$/.test(month)) return { reason: "month" };
  if (!/^([0-9]{2}|[0-9]{4})$/.test(year)) return { reason: "year" };
  const key = Number(year) * 100 + (year.length === 2 ? 200_000 : 0) + Number(month);
  if (key < RULES.month) return { reason: "past" };
  return key > RULES.month + RULES.years * 100 ? { reason: "far" } : { reason: "", key };
}

const boxesOf = (form) => $$(".pan input", form);

// Pairs of a field's name and what is wrong with it.
function faults(form) {
  const { texts, stored } = RULES;
  const name = nameOf(form.elements.customer_name.value);
  const phone = phoneOf(form.elements.phone.value);
  const number = numberReason(numberOf(boxesOf(form)));
  const expiry = readExpiry(form);
  const wanted = (reason) => reason && !(stored && reason === "empty");
  const year = ["year", "far"].includes(expiry.reason);
  const found = [
    ["customer_name", nameFault(name)],
    ["phone", phoneFault(phone)],
    ["card_number_1", wanted(number) ? texts.number[number] : ""],
    [year ? "exp_year" : "exp_month", wanted(expiry.reason) ? texts.expiry[expiry.reason] : ""],
  ].filter(([, text]) => text);
  if (found.length || !stored) return found;
  const kept = !expiry.key || expiry.key === stored.expiry;
  if (!number && !expiry.key && stored.over) return [["exp_month", texts.expiry_needed]];
  if (number && expiry.key && !stored.readable) return [["card_number_1", texts.number_needed]];
  const same = name === stored.name && phone === stored.phone && kept;
  return number && same ? [["", texts.unchanged]] : [];
}

// --- Faults as the server's page shows them: a summary, and each beside its field.

// A field's part of the page, and the id that names it in an error's id.
function placeOf(form, name) {
  const part = form.elements[name].closest(".field");
  const id = name.startsWith("exp_") ? "expiry" : name.replace(/_1$/, "");
  return { part, id, fields: $$("input", part) };
}

function describe(field, id, wrong) {
  const about = (field.getAttribute("aria-describedby") ?? "").split(" ");
  const others = about.filter((one) => one && one !== id);
  const ids = (wrong ? [...others, id] : others).join(" ");
  if (ids) field.setAttribute("aria-describedby", ids);
  else field.removeAttribute("aria-describedby");
  if (wrong) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

function showFault(form, name, text) {
  const { part, id, fields } = placeOf(form, name);
  const errors = `${id}-errors`;
  document.getElementById(errors)?.remove();
  part.classList.toggle("wrong", Boolean(text));
  fields.forEach((field) => describe(field, errors, Boolean(text)));
  if (!text) return;
  const line = Object.assign(document.createElement("p"), { textContent: text });
  const box = Object.assign(document.createElement("div"), { className: "errors", id: errors });
  box.append(line);
  $("label, legend", part).after(box);
}

function showSummary(form, found) {
  const summary = Object.assign(document.createElement("div"), {
    className: "summary",
    id: "summary",
    tabIndex: -1,
  });
  summary.setAttribute("role", "alert");
  const whole = found.find(([name]) => !name);
  const heading = document.createElement("h2");
  heading.textContent = whole ? whole[1] : RULES.texts.summary;
  summary.append(heading);
  if (!whole) {
    const list = document.createElement("ul");
    list.append(
      ...found.map(([name, text]) => {
        const link = Object.assign(document.createElement("a"), { href: `#${name}`, textContent: text });
        const line = document.createElement("li");
        line.append(link);
        return line;
      }),
    );
    summary.append(list);
  }
  $("#summary")?.remove();
  (form.closest(".edit") ?? form).before(summary);
  summary.focus();
}

function showFaults(form, found) {
  const names = ["customer_name", "phone", "card_number_1", "exp_month"];
  const group = (name) => (name === "exp_year" ? "exp_month" : name);
  names.forEach((name) => {
    showFault(form, name, found.find(([wrong]) => group(wrong) === name)?.[1] ?? "");
  });
  const { error } = RULES.texts;
  document.title = error + document.title.replace(error, "");
  showSummary(form, found);
}

// Nothing is sent, and nothing asked, until the form is right; the digits stay.
function checkFirst(form) {
  form.addEventListener("submit", (event) => {
    const found = faults(form);
    if (!found.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    showFaults(form, found);
  });
}

// A wrong number is named on leaving its boxes, and no longer once it is right.  Under
// a mouse it waits for the click, which a page that moves would miss; who presses a key
// has no mouse down, though its button may have come up outside the window, unseen.
function checkOnLeaving(pan) {
  const form = pan.closest("form");
  const reason = () => numberReason(numberOf(boxesOf(form)));
  let pressed = false;
  addEventListener("pointerdown", () => (pressed = true), true);
  addEventListener("pointerup", () => setTimeout(() => (pressed = false)), true);
  ["pointercancel", "keydown"].forEach((kind) => {
    addEventListener(kind, () => (pressed = false), true);
  });
  function name() {
    const wrong = reason();
    if (pan.contains(document.activeElement) || !wrong || wrong === "empty") return;
    showFault(form, "card_number_1", RULES.texts.number[wrong]);
    $("#card_number-errors").setAttribute("role", "alert");
  }
  pan.addEventListener("focusout", (event) => {
    if (pan.contains(event.relatedTarget)) return;
    if (pressed) addEventListener("pointerup", () => setTimeout(name), { once: true });
    else name();
  });
  form.addEventListener("input", () => {
    if ($("#card_number-errors") && ["", "empty"].includes(reason())) {
      showFault(form, "card_number_1", "");
    }
  });
}

// --- Four boxes that behave as one field.

const digitsIn = (text) => fold(text).match(/[0-9]+/g) ?? [];
const BESIDE = /(^|\s)[0-9０-９]{1,2}\s*[/／]\s*([0-9０-９]{4}|[0-9０-９]{2})(?=\s|$)/g;

// A number as it was copied: alone, or the only one of a card's length among words, and
// perhaps with the expiry beside it, whose digits are not the number's.
function numberIn(copied) {
  const text = copied.replace(BESIDE, " ");
  const fits = (runs) => runs.filter((run) => run.length >= 14 && run.length <= 19);
  const apart = fits(text.split(/\s+/).flatMap(digitsIn));
  if (apart.length === 1) return apart[0];
  const joined = fold(text.replace(/\s/g, ""));
  if (/^[0-9]+$/.test(joined)) return joined;
  const runs = fits(digitsIn(joined));
  return runs.length === 1 ? runs[0] : "";
}

// Month and year that were put into one box, as the card prints them.
function splitExpiry(month) {
  const year = month.form.elements.exp_year;
  const both = ascii(month.value).match(/^\s*([0-9]{1,2})\s*[/／]\s*([0-9]{2}|[0-9]{4})\s*$/);
  if (!both || year.value) return;
  [month.value, year.value] = both.slice(1);
  month.form.dispatchEvent(new Event("input"));
}

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
      const text = numberIn(event.clipboardData.getData("text"));
      if (!text) return;
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
  return () => numberOf(boxes);
}

// --- The brand as soon as it is known, and cards that look the same.

function watchCard(pan) {
  const form = pan.closest("form");
  const digits = joinBoxes(pan);
  const likely = $("#likely");
  let asked = "";

  function expiry() {
    const { key } = readExpiry(form);
    return key ? String(key) : "";
  }

  // Compared here, because neither name nor telephone number goes into an address.
  function isTyped({ name, phone }) {
    const plain = (text) => text.normalize("NFKC").replace(/\s/g, "").toLowerCase();
    const typed = form.elements;
    const sameName = plain(typed.customer_name.value) === plain(name);
    return sameName || phoneOf(typed.phone.value).replace(/-/g, "") === phone;
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
    const lines = others.map((one) => {
      const link = Object.assign(document.createElement("a"), {
        href: one.url,
        target: "_blank",
        textContent: "登録内容を見る（新しいタブ）",
      });
      const line = document.createElement("p");
      line.append(one.text, document.createElement("br"), `${one.registered} `, link);
      return line;
    });
    if (others.some(isTyped)) {
      const same = Object.assign(document.createElement("p"), { className: "same" });
      same.textContent = RULES.texts.same_customer;
      lines.unshift(same);
    }
    likely.replaceChildren(...lines);
    likely.hidden = !others.length;
  }

  form.addEventListener("input", () => {
    const number = digits();
    const brand = brandOf(number)?.label ?? "";
    if ($("#brand").textContent !== brand) $("#brand").textContent = brand;
    look(number);
  });
}

// --- Confirmations: the browser's own dialog instead of the checkbox.

// A browser that was told to ask no more answers at once; nobody reads that fast.
const UNASKED_MS = 50;

function confirmByDialog(part) {
  const box = $("input", part);
  const form = box.form;
  const answer = Object.assign(document.createElement("input"), { type: "hidden", name: box.name });
  const place = document.createComment("");
  part.replaceWith(place);
  form.append(answer);

  // The checkbox comes back, as it is without the script.
  function askByCheckbox() {
    answer.remove();
    place.replaceWith(part);
    const said = Object.assign(document.createElement("div"), { className: "errors" });
    said.append(Object.assign(document.createElement("p"), { textContent: part.dataset.unasked }));
    said.setAttribute("role", "alert");
    part.prepend(said);
    box.focus();
  }

  form.addEventListener("submit", (event) => {
    if (box.isConnected) {
      if (!box.checked) {
        event.preventDefault();
        box.focus();
      }
      return;
    }
    const asked = performance.now();
    answer.value = confirm(part.dataset.words) ? "y" : "";
    if (answer.value) return;
    event.preventDefault();
    if (performance.now() - asked < UNASKED_MS) askByCheckbox();
  });
}

// --- 表示: a code or password that is being typed, for eyes that want to check it.

function revealOnPress(button) {
  const field = document.getElementById(button.dataset.reveal);
  function show(reveal) {
    field.type = reveal ? "text" : "password";
    button.setAttribute("aria-pressed", String(reveal));
  }
  button.hidden = false;
  show(false);
  button.addEventListener("click", () => show(field.type === "password"));
  // A browser would offer what was typed into a box of plain text again.
  field.form.addEventListener("submit", () => show(false));
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
  const [button, hint] = [$("button", form), $("[role=status]", form)];
  const verb = form.dataset.passkey;
  if (!window.PublicKeyCredential) {
    hint.textContent = "このブラウザーではパスキーを使用できません。";
    return;
  }
  hint.textContent = "";
  $$("[hidden]", form).forEach((part) => (part.hidden = false));
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
    box.value = box.value.replace(RUN, (run) => ascii(run.replace(/\P{Nd}/gu, "")).slice(-4));
  });
  // A key of one letter can be switched off, because speech input types it (WCAG 2.1.4).
  const slash = $("#slash");
  slash.checked = localStorage.getItem("slash") !== "off";
  slash.closest("p").hidden = false;
  slash.addEventListener("change", () => localStorage.setItem("slash", slash.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    if (!slash.checked || event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    box.focus();
  });
}

// --- What was typed outlives the login: in this tab alone, for the same operator, and
// never the number.  It is forgotten as soon as a form was answered.

const TYPED = "typed";
const OPERATOR = document.body.dataset.operator;
const keptTyped = () => JSON.parse(sessionStorage.getItem(TYPED) ?? "null");
const setTyped = (kept) => sessionStorage.setItem(TYPED, JSON.stringify(kept));
const forgetTyped = () => sessionStorage.removeItem(TYPED);

function keepTyped(ended = false) {
  const form = $("[data-rules]");
  if (!form) return;
  const fields = ["customer_name", "phone", "exp_month", "exp_year"].map((name) => form.elements[name]);
  const typed = fields.filter((field) => field.value !== field.defaultValue && !field.value.match(RUN));
  setTyped({
    ended,
    operator: OPERATOR,
    path: location.pathname + location.search,
    fields: Object.fromEntries(typed.map((field) => [field.name, field.value])),
  });
}

function putBack(fields) {
  const form = $("[data-rules]");
  const names = Object.keys(fields);
  if (!form || !names.length) return;
  names.forEach((name) => (form.elements[name].value = fields[name]));
  const said = Object.assign(document.createElement("p"), {
    className: "notice",
    textContent: RULES.texts.typed_is_back,
    tabIndex: -1,
  });
  said.setAttribute("role", "status");
  form.before(said);
  said.focus();
}

// A login that ended leads to the login page, and after it to the list or the page that
// was left, without what stood behind its question mark.  From there it is opened as it
// was, once; any other page means that the form was answered.
function meetTyped() {
  const kept = keptTyped();
  if (!kept) return;
  if ($("#login_id")) return setTyped({ ...kept, ended: true });
  if (!OPERATOR) return;
  const ours = kept.ended && kept.operator === OPERATOR;
  if (ours && kept.path === location.pathname + location.search) putBack(kept.fields);
  else if (ours && !kept.opened && ["/cards", kept.path.split("?")[0]].includes(location.pathname)) {
    setTyped({ ...kept, opened: true });
    return location.replace(kept.path);
  }
  forgetTyped();
}

// --- Two minutes before the login ends, in every tab at once.

const WARNING_MS = 120_000;
const TYPING_MS = 60_000;

function watchIdle(warning) {
  const lasts = Number(document.body.dataset.idle) * 1000;
  const tabs = new BroadcastChannel("still-here");
  const button = $("button", warning);
  let since = Date.now();
  let typed = 0;
  let field = null;
  let asking = false;
  const begin = () => {
    since = Date.now();
    // Who pressed 続ける goes on where they were.
    if (warning.contains(document.activeElement)) field?.focus();
    warning.hidden = true;
  };
  async function stay() {
    if (asking) return;
    asking = true;
    const body = new URLSearchParams({ csrf_token: $("input[name=csrf_token]").value });
    const answer = await fetch(button.dataset.url, { method: "POST", body }).catch(() => null);
    asking = false;
    if (!answer || !answer.ok || answer.redirected) return leaveTyped();
    begin();
    tabs.postMessage("");
  }
  tabs.onmessage = begin;
  tabs.postMessage("");
  button.addEventListener("click", stay);
  addEventListener("focusin", ({ target }) => {
    if (!warning.contains(target)) field = target;
  });
  // Whoever types is there: it renews the login when the warning would come, or is shown.
  addEventListener("keydown", ({ target }) => {
    if (!target.closest("form") || warning.contains(target)) return;
    typed = Date.now();
    if (!warning.hidden) stay();
  });
  setInterval(() => {
    const now = Date.now();
    if (now - since > lasts) leaveTyped();
    else if (now - since > lasts - WARNING_MS && warning.hidden) {
      if (now - typed < TYPING_MS) stay();
      else warning.hidden = false;
    }
  }, 1000);
}

// Eight hours after it began a login ends whatever is done; nothing can put that off.
const ENDING_MS = 600_000;

function watchEnding(warning) {
  const ends = Date.now() + Number(warning.dataset.seconds) * 1000;
  setInterval(() => {
    if (Date.now() > ends) leaveTyped();
    else if (Date.now() > ends - ENDING_MS) warning.hidden = false;
  }, 1000);
}

// Asking for the page anew is what tells a live login from a dead one.
const leave = () => location.replace(location.pathname + location.search);

function leaveTyped() {
  keepTyped(true);
  leave();
}

// --- Back after logout: a page from the back/forward cache is never shown as it was.

addEventListener("pagehide", (event) => (document.body.hidden = event.persisted));
addEventListener("pageshow", (event) => event.persisted && leave());

$$("form").forEach((form) => (form.noValidate = true));
$$("[data-rules]").forEach(checkFirst);
$$(".confirm").forEach(confirmByDialog);
$$("[data-reveal]").forEach(revealOnPress);
$$("[data-passkey]").forEach(askPasskey);
$$(".pan").forEach(watchCard);
$$(".pan").forEach(checkOnLeaving);
$$("[name=exp_month]").forEach((month) => {
  month.addEventListener("change", () => splitExpiry(month));
  month.addEventListener("paste", () => setTimeout(() => splitExpiry(month)));
});
$$("#q").forEach(watchSearch);
$$("#idle").forEach(watchIdle);
$$("#ending").forEach(watchEnding);
$$("[data-rules], #delete").forEach((form) =>
  form.addEventListener("submit", (event) => event.defaultPrevented || keepTyped()),
);
$$(".leave").forEach((form) => form.addEventListener("submit", forgetTyped));
$$("#summary, .done h2").forEach((said) => said.focus());
meetTyped();
