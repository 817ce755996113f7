// Looks at pages with axe-core: node axe.cjs FOLDER. Prints what is against WCAG 2.1 A and AA or axe's best practice, a line each,
// and fails if there is something. Contrast needs a screen; it is computed from the colours by a test of the console itself.
const fs = require("fs");
const path = require("path");
const { JSDOM } = require("jsdom");
const source = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

async function look(file) {
  const dom = new JSDOM(fs.readFileSync(file, "utf8"), { runScripts: "outside-only", pretendToBeVisual: true });
  dom.window.eval(source);
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
  const options = { runOnly: { type: "tag", values: tags }, rules: { "color-contrast": { enabled: false } } };
  const found = await dom.window.axe.run(dom.window.document, options);
  dom.window.close();
  return { violations: found.violations, passes: found.passes.length };
}

(async () => {
  const folder = process.argv[2];
  const files = fs.readdirSync(folder).filter((name) => name.endsWith(".html")).sort();
  let bad = 0;
  let passes = 0;
  for (const name of files) {
    const found = await look(path.join(folder, name));
    passes += found.passes;
    for (const violation of found.violations) {
      bad += 1;
      const nodes = violation.nodes.map((node) => node.html.slice(0, 200)).join(" | ");
      console.log(`${name}: ${violation.id}: ${violation.help}: ${nodes}`);
    }
  }
  console.log(`${files.length} pages, ${passes} rules passed, ${bad} violated`);
  process.exit(bad > 0 || files.length === 0 || passes === 0 ? 1 : 0);
})();
