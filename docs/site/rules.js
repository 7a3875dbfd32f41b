// Filters for the list of rules: by family, severity, kind of fix, default, and words. Without JavaScript, the plain
// tables remain.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("rule-filters");
  if (!place) return;

  // A family is a heading and the table after it; a rule is a row with its cells in the order of COLUMNS.
  const COLUMNS = ["code", "name", "severity", "fix", "default", "text"];
  const families = [...document.querySelectorAll("article h2[id]")].map((heading) => {
    let box = heading.nextElementSibling;
    while (box && !box.matches("table") && !box.querySelector("table")) box = box.nextElementSibling;
    const rows = box ? [...box.querySelectorAll("tbody tr")] : [];
    return {
      letter: heading.id.toUpperCase(),
      title: heading.firstChild.textContent.trim(),
      parts: box ? [heading, box] : [heading],
      rules: rows.map((row) => {
        const rule = { row };
        COLUMNS.forEach((name, number) => (rule[name] = row.cells[number].textContent.trim()));
        rule.words = COLUMNS.map((name) => rule[name]).join(" ").toLowerCase();
        return rule;
      }),
    };
  });

  const choices = {
    family: families.map((family) => [family.letter, family.title]),
    severity: ["error", "warning", "advice"].map((word) => [word, word]),
    fix: [["safe", "safe"], ["unsafe", "unsafe"], ["none", "none"]],
    default: [["on", "on"], ["off", "off"]],
  };
  const form = document.createElement("form");
  const fields = {};
  for (const [name, options] of Object.entries(choices)) {
    const select = document.createElement("select");
    select.append(new Option("any", ""), ...options.map(([value, title]) => new Option(title, value)));
    fields[name] = select;
  }
  fields.words = Object.assign(document.createElement("input"), { type: "search", placeholder: "code, name or words" });
  for (const [name, field] of Object.entries(fields)) {
    const label = document.createElement("label");
    field.name = name;
    label.append(name, field);
    form.append(label);
  }
  const count = document.createElement("output");
  form.append(count);
  place.append(form);

  // The filters are part of the URL, so that a view can be bookmarked and shared.
  const given = new URLSearchParams(location.search);
  for (const [name, field] of Object.entries(fields)) field.value = given.get(name) || "";

  const has = (list, word) => !word || list.split(", ").includes(word);
  const filter = () => {
    const wanted = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
    const words = wanted.words.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    let all = 0;
    for (const family of families) {
      let left = 0;
      for (const rule of family.rules) {
        const fits =
          has(family.letter, wanted.family) &&
          has(rule.severity, wanted.severity) &&
          has(rule.fix, wanted.fix) &&
          has(rule.default, wanted.default) &&
          words.every((word) => rule.words.includes(word));
        rule.row.hidden = !fits;
        left += fits;
      }
      for (const part of family.parts) part.hidden = !left;
      shown += left;
      all += family.rules.length;
    }
    count.textContent = `${shown} of ${all} rules`;
    const kept = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
    history.replaceState(null, "", `${location.pathname}${kept.size ? `?${kept}` : ""}${location.hash}`);
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
});
