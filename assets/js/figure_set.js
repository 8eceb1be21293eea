// Charts that are asked for together and drawn together: soon after a move to another place, at a steady pace while
// numbers come in, and only once they can be seen. What was seen and has changed since is marked as out of date while it is
// off screen, and drawn anew once nothing changes any more. The latest answer wins.

const SETTLE = 250, PACE = 1000, CALM = 2000; // milliseconds: after a move to another place; between two drawings of growing numbers; off screen

/**
 * `charts` within `node`. `ask(dark)` resolves to figures by name; `place()` names what they would show, null for nothing
 * yet, and `fresh()` how new it is. `came(figures)` hears of every answer, `failed(text)` of every refusal ('' when it
 * is over); `cursor()` is what the charts mark.
 */
export function makeFigureSet({node, charts, ask, place, fresh, cursor, came = () => {}, failed}) {
  const asked = {key: '', place: '', at: 0, turn: 0, timer: null, due: ''};
  const isDark = () => Boolean(node.closest('.dark'));
  const here = () => `${place()} ${isDark()}`, key = () => `${here()} ${fresh()}`;
  let seen = false, calm = null;

  /** Ask for figures when they would differ from those asked for last. */
  function plan() {
    if (node.hidden || place() === null) return;
    const now = key();
    clearTimeout(calm);
    node.classList.toggle('stale', !seen && asked.key !== '' && now !== asked.key);
    if (!seen) {
      if (asked.key && now !== asked.key) calm = setTimeout(load, CALM);
      return;
    }
    const moved = here() !== asked.place;
    if (now !== asked.key && asked.due && !moved) return; // the numbers are asked for already, and will be the newest
    clearTimeout(asked.timer); // who goes on moving, or comes back to what is drawn, asks for nothing
    asked.due = now === asked.key ? '' : now;
    if (!asked.due) return;
    asked.timer = setTimeout(load, moved ? (asked.key ? SETTLE : 0) : Math.max(0, asked.at + PACE - Date.now()));
  }

  async function load() {
    const turn = ++asked.turn;
    Object.assign(asked, {due: '', key: key(), place: here(), at: Date.now()});
    try {
      const made = await ask(isDark());
      if (turn !== asked.turn) return; // another place was asked for since
      failed('');
      came(made);
      for (const chart of charts) {
        await chart.show(made[chart.name] || null);
        chart.place(cursor());
        await new Promise(resolve => setTimeout(resolve)); // a key pressed meanwhile is answered first
        if (turn !== asked.turn) return;
      }
    } catch (error) {
      if (turn !== asked.turn) return;
      failed(error.message);
    }
    for (const chart of charts) chart.place(cursor());
    node.dataset.drawn = asked.key;
    node.classList.toggle('stale', !seen && key() !== asked.key);
  }

  let frame = 0;
  /** The cursor has moved: the charts mark it at once, and may be asked for anew. */
  function moved() {
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; for (const chart of charts) chart.place(cursor()); });
    plan();
  }

  new IntersectionObserver(entries => { seen = entries[entries.length - 1].isIntersecting; plan(); }, {rootMargin: '400px'}).observe(node);
  let resizing = null;
  new ResizeObserver(() => { clearTimeout(resizing); resizing = setTimeout(() => charts.forEach(chart => chart.resize()), 80); }).observe(node);
  addEventListener('beforeprint', () => { if (!node.hidden && place() !== null && key() !== asked.key) load(); });
  for (const element of [document.documentElement, document.body]) new MutationObserver(plan).observe(element, {attributes: true, attributeFilter: ['class']});

  return {plan, moved};
}

/** The button that turns charts into tables and back. */
export function tableSwitch(make, set) {
  const button = make(() => {
    const on = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(on));
    button.textContent = on ? 'Show as charts' : 'Show as tables';
    set(on);
  });
  return button;
}
