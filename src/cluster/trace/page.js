'use strict';
// Draws what the lines of JSON say, which `ClusterTrace::to_json_lines` describes. First it is gathered by broker and by partition, once;
// then the part of the time that is shown is drawn, anew with each move.
(() => {
const events = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
const LEFT = 150, LINE = 18;

// ---- what there is

const PALETTE = ['#4878b8', '#e59a1c', '#4fa35a', '#9a6fb0', '#3fa9a6', '#c9a400', '#a0714f', '#de7fa4', '#7a8b2f'];
const color = id => PALETTE[id - 1] || `hsl(${(id * 137.5) % 360} 45% 52%)`;
// What a fault is called on the axis; what makes up for one; and what others say.
const FAULTS = {
  killed: 'K', power_lost: 'P', stopped: 'S', paused: 'H', ended: 'E', isolated: 'I', split: 'N', blocked: 'N', loss: 'M', duplicates: 'M',
  reordered: 'M', delays: 'M', latency: 'L', shuts_down: 'D', gone: 'G', clock_skew: 'C', throttle: 'T', request_refused: 'R', request_lost: 'R', answer_lost: 'R', request_delayed: 'R',
};
const RELIEFS = {started: '+', went_on: '+', healed: '+'};
const FAILURES = ['broken', 'failed'];
const LETTERS = `K killed, P power lost, D shuts down, S stopped in order, G gone for good, E ended by itself, H halted, each with the broker
C another clock, T another rate for partitions on their way
I isolated, N the network does not let pass, M messages lost, doubled or overtaken (the orange band: until when), L other latencies
R a request was refused, lost or late on purpose
+ works again
A diamond is a note.`;

const brokers = new Map(), topics = new Map();
const story = [], marks = [], failures = [], disturbed = [];
let seed = null, end = 0, faults = 0;

const last = list => list[list.length - 1];
const broker = id => {
  if (!brokers.has(id)) {
    brokers.set(id, {id, up: false, paused: false, fenced: true, spans: [], reigns: [], cuts: [], requests: []});
  }
  return brokers.get(id);
};
const partition = (topic, number) => {
  if (!topics.has(topic)) topics.set(topic, {name: topic, open: !topic.startsWith('__'), partitions: new Map()});
  const all = topics.get(topic).partitions;
  if (!all.has(number)) all.set(number, {name: `${topic}-${number}`, number, states: [], marks: []});
  return all.get(number);
};
// Ends what lasts, at a time.
const close = (list, at) => { if (list.length && last(list).to === undefined) last(list).to = at; };
const settle = (b, at) => {
  const kind = !b.up ? 'down' : b.paused ? 'paused' : b.fenced ? 'fenced' : 'up';
  if (b.spans.length && last(b.spans).kind === kind) return;
  close(b.spans, at);
  b.spans.push({at, kind});
};
const cut = (ids, e) => ids.forEach(id => {
  close(broker(id).cuts, e.at);
  broker(id).cuts.push({at: e.at, text: e.text});
});

const gather = {
  cluster: e => { seed = e.seed; },
  started: e => Object.assign(broker(e.broker), {up: true, paused: false, fenced: true}),
  paused: e => { broker(e.broker).paused = broker(e.broker).up; },
  went_on: e => { broker(e.broker).paused = false; },
  registered: e => { broker(e.broker).fenced = true; },
  unregistered: e => { broker(e.broker).fenced = true; },
  fenced: e => { broker(e.broker).fenced = true; },
  unfenced: e => { broker(e.broker).fenced = false; },
  controller: e => broker(e.broker).reigns.push({at: e.at, term: e.term}),
  resigned: e => close(broker(e.broker).reigns, e.at),
  isolated: e => cut([e.broker], e),
  split: e => cut([...e.one, ...e.other], e),
  blocked: e => cut([e.from, e.to], e),
  healed: e => { brokers.forEach(b => close(b.cuts, e.at)); close(disturbed, e.at); },
  partition: e => partition(e.topic, e.partition).states.push(e),
  topic_deleted: e => topics.get(e.topic)?.partitions.forEach(p => { p.gone = e.at; }),
  high_watermark: e => partition(e.topic, e.partition).marks.push(e),
  request: e => { broker(e.broker).requests.push(e); end = Math.max(end, e.answered ?? 0); },
};
for (const kind of ['killed', 'power_lost', 'stopped', 'gone', 'ended']) {
  gather[kind] = e => {
    Object.assign(broker(e.broker), {up: false, paused: false});
    close(broker(e.broker).reigns, e.at);
  };
}
for (const kind of ['loss', 'duplicates', 'reordered', 'delays']) {
  gather[kind] = e => {
    if (disturbed.length && last(disturbed).to === undefined) last(disturbed).text += `\n${e.text}`;
    else disturbed.push({at: e.at, text: e.text});
  };
}
for (const e of events) {
  end = Math.max(end, e.at);
  // What works again that has worked before, and what starts for the first time, is no news.
  const lasts = list => list.length > 0 && last(list).to === undefined;
  const idle = e.kind === 'went_on' && !broker(e.broker).paused || e.kind === 'started' && !broker(e.broker).spans.length
    || e.kind === 'healed' && !lasts(disturbed) && ![...brokers.values()].some(b => lasts(b.cuts));
  gather[e.kind]?.(e);
  if (typeof e.broker === 'number' && e.kind !== 'high_watermark' && e.kind !== 'request') settle(broker(e.broker), e.at);
  if (e.text !== undefined) story.push(e);
  if (FAILURES.includes(e.kind)) failures.push(e);
  const fault = e.kind in FAULTS;
  faults += fault;
  if (fault || e.kind === 'note' || e.kind in RELIEFS && !idle) {
    const who = e.broker ?? '';
    marks.push({e, label: (FAULTS[e.kind] ?? RELIEFS[e.kind]) + who,
      kind: fault ? 'fault' : e.kind === 'note' ? 'note' : 'relief'});
  }
}
const ids = [...brokers.keys()].sort((a, b) => a - b);
const whole = [0, Math.max(end * 1.02, 0.001)];
const asked = /^#([\d.]+)-([\d.]+)$/.exec(location.hash);
let [from, to] = asked && +asked[1] < +asked[2] ? [+asked[1], +asked[2]] : whole;
let cursor = failures.length ? failures[0].at : end;

// ---- words

const seconds = (t, digits = 6) => `${t.toFixed(digits)} s`;
const line = e => e.text !== undefined ? `${e.at.toFixed(6).padStart(12)} ${e.text}` : '';
const told = r => {
  const about = r.partitions ? r.partitions.join(' ') + (r.partition_count > r.partitions.length ? ' ...' : '') : r.topic ?? r.group ?? '';
  const took = r.answered === undefined ? '' : `, answered ${((r.answered - r.at) * 1e3).toFixed(3)} ms later`;
  const became = r.answered === undefined ? 'no answer' : r.error ?? (r.offset !== undefined ? `offset ${r.offset}`
    : r.bytes !== undefined ? `${r.bytes} bytes` : 'done');
  const records = r.records === undefined ? '' : `, ${r.records} record${r.records === 1 ? '' : 's'}`;
  return `${r.api} ${about}${records}\nto broker ${r.broker} at ${seconds(r.at)}${took}\n${became}`;
};
const kindOf = r => r.answered === undefined ? 'open' : r.error !== undefined ? 'error' : r.api;
const at = (list, t) => {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].at <= t) low = middle + 1; else high = middle;
  }
  return low - 1;
};
const stateTip = (p, t) => {
  const s = p.states[at(p.states, t)], mark = p.marks[at(p.marks, t)];
  return `${p.name} at ${seconds(t, 3)}\n` + (s ? `${s.leader === null ? 'nobody leads' : `broker ${s.leader} leads`} in epoch ${s.leader_epoch}`
    + `${s.unclean ? ', who may lack what was acknowledged' : ''}\nin sync: ${s.isr.join(' ')} of ${s.replicas.join(' ')}`
    + (s.eligible.length ? `\neligible: ${s.eligible.join(' ')}` : '')
    + (s.adding.length + s.removing.length ? `\non its way to: ${s.adding.join(' ')}, from: ${s.removing.join(' ')}` : '') : 'not there yet') + `\nhigh watermark ${mark ? mark.offset : 0}`;
};
const KINDS = {up: 'serves', fenced: 'runs, and does not serve yet, or is fenced', paused: 'is halted', down: 'does not run'};

// ---- drawing

const NS = 'http://www.w3.org/2000/svg';
const draw = (parent, name, attributes = {}, text) => {
  const element = document.createElementNS(NS, name);
  for (const key in attributes) if (attributes[key] !== undefined) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  parent.appendChild(element);
  return element;
};
let width = 0;
const x = t => (t - from) / (to - from) * width;
const time = px => from + px / width * (to - from);
// The spans that are seen, with where they are.
const seen = (list, until, visit) => list.forEach((span, n) => {
  const ends = Math.min(span.to ?? list[n + 1]?.at ?? until, until);
  if (ends < from || span.at > to) return;
  const [a, b] = [Math.max(x(span.at), -2), Math.min(x(ends), width + 2)];
  visit(span, a, Math.max(b - a, 1));
});

function ticks() {
  const rough = (to - from) / Math.max(width / 110, 1), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(n => n * power).find(s => s >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let n = Math.ceil(from / step); n * step <= to; n++) found.push([n * step, (n * step).toFixed(digits)]);
  return found;
}

function frame(parent, height) {
  const svg = draw(parent, 'svg', {width: LEFT + width, height});
  const plot = draw(svg, 'svg', {x: LEFT, y: 0, width, height});
  ticks().forEach(([t]) => draw(plot, 'line', {class: 'grid', x1: x(t), x2: x(t), y1: 0, y2: height}));
  return [svg, plot];
}

function stems(plot, height) {
  for (const {e, kind} of marks) {
    if (e.at < from || e.at > to || kind === 'note') continue;
    draw(plot, 'line', {class: `stem ${kind}`, x1: x(e.at), x2: x(e.at), y1: 0, y2: height});
  }
}

function fronts(plot, height) {
  draw(plot, 'line', {class: 'cursor', x1: x(cursor), x2: x(cursor), y1: 0, y2: height});
  for (const e of failures) {
    draw(plot, 'line', {class: 'failed', x1: x(e.at), x2: x(e.at), y1: 0, y2: height, 'data-tip': line(e)});
  }
}

function drawTop() {
  const rows = 3, height = 22 + rows * 16 + 16, under = height - 13;
  $('top').replaceChildren();
  const [svg, plot] = frame($('top'), height);
  draw(svg, 'text', {x: 10, y: 15, class: 'dim'}, 'seconds');
  draw(svg, 'text', {x: 10, y: 34, class: 'help', 'data-tip': LETTERS}, `faults (${faults})`);
  draw(svg, 'text', {x: 10, y: 49, class: 'dim small help', 'data-tip': LETTERS}, 'what the letters mean');
  ticks().forEach(([t, text]) => draw(plot, 'text', {class: 'tick', x: x(t) + 3, y: 15}, text));
  seen(disturbed, end, (span, a, w) =>
    draw(plot, 'rect', {class: 'disturbed', x: a, y: height - 4, width: w, height: 3, 'data-tip': span.text}));
  stems(plot, height);
  const ends = new Array(rows).fill(-99), hidden = new Array(rows).fill(null);
  for (const {e, label, kind} of marks) {
    if (e.at < from || e.at > to) continue;
    if (kind === 'note') {
      const mark = draw(plot, 'g', {class: 'mark note', 'data-kind': e.kind, 'data-tip': line(e), 'data-at': e.at});
      draw(mark, 'path', {d: `M${x(e.at) - 4},${under}l4,-4l4,4l-4,4z`});
      continue;
    }
    const w = 8 + label.length * 6.5, left = x(e.at) - w / 2;
    let row = ends.findIndex(edge => edge <= left);
    if (row < 0) {
      // There is no room: whoever is in the way tells of it, too.
      row = ends.indexOf(Math.min(...ends));
      hidden[row].setAttribute('data-tip', `${hidden[row].getAttribute('data-tip')}\n${line(e)}`);
      continue;
    }
    ends[row] = left + w + 1;
    const mark = draw(plot, 'g', {class: `mark ${kind}`, 'data-kind': e.kind, 'data-tip': line(e), 'data-at': e.at});
    draw(mark, 'rect', {x: left, y: 23 + row * 16, width: w, height: 14, rx: 3});
    draw(mark, 'text', {class: 'on small', x: x(e.at), y: 34 + row * 16, 'text-anchor': 'middle'}, label);
    hidden[row] = mark;
  }
  fronts(plot, height);
  failures.forEach(e => draw(plot, 'path', {class: 'flag', d: `M${x(e.at) - 6},0h12l-6,9z`, 'data-tip': line(e), 'data-at': e.at}));
  draw(plot, 'path', {class: 'handle', d: `M${x(cursor) - 4},0h8l-4,6z`});
}

function drawRequests(g, b, y) {
  const rows = {Produce: 0, Fetch: 1};
  const visible = b.requests.filter(r => r.at <= to && (r.answered ?? r.at) >= from);
  if (visible.length <= 600) {
    for (const r of visible) {
      const a = x(r.at), w = r.answered === undefined ? 5 : Math.max(x(r.answered) - a, 2);
      draw(g, 'rect', {class: `request ${kindOf(r)}`, x: a, y: y + (rows[r.api] ?? 2) * 5, width: w, height: 4, 'data-tip': told(r), 'data-at': r.at});
    }
    return;
  }
  // Too many to tell one from the other: how many there are in a few pixels.
  const size = 4, bins = new Map();
  for (const r of visible) {
    const n = Math.floor(Math.max(x(r.at), 0) / size);
    if (!bins.has(n)) bins.set(n, []);
    bins.get(n).push(r);
  }
  const most = Math.max(...[...bins.values()].map(bin => bin.length));
  for (const [n, bin] of bins) {
    const count = kind => bin.filter(r => kindOf(r) === kind).length;
    const parts = ['error', 'open', 'Produce', 'Fetch'].map(kind => [kind, count(kind)]);
    parts.push(['other', bin.length - parts.reduce((sum, [, n]) => sum + n, 0)]);
    const apis = new Map();
    bin.forEach(r => apis.set(r.api, (apis.get(r.api) ?? 0) + 1));
    const tip = `${bin.length} requests to broker ${b.id} about ${seconds(time(n * size), 3)}\n${[...apis].map(([api, n]) => `${n} ${api}`).join(', ')}\n`
      + `${count('error')} refused, ${count('open')} without an answer: zoom in to see each`;
    const bar = draw(g, 'g', {class: 'bar', 'data-tip': tip});
    let base = y + 15;
    for (const [kind, n2] of parts.filter(([, n2]) => n2)) {
      const high = Math.max(15 * n2 / most, kind === 'error' || kind === 'open' ? 2 : .5);
      draw(bar, 'rect', {class: `request ${kind}`, x: n * size, y: base - high, width: size - 1, height: high});
      base -= high;
    }
  }
}

function drawBroker(svg, plot, b, y) {
  const g = draw(plot, 'g', {class: 'lane broker', 'data-broker': b.id});
  draw(svg, 'rect', {x: 10, y: y + 7, width: 10, height: 10, rx: 2, fill: color(b.id)});
  draw(svg, 'text', {x: 26, y: y + 16}, `broker ${b.id}`);
  draw(svg, 'text', {x: 26, y: y + 31, class: 'dim small'}, `${b.requests.length} requests`);
  seen(b.spans, end, (span, a, w) => {
    const tip = `broker ${b.id} ${KINDS[span.kind]}`;
    if (span.kind === 'down') {
      draw(g, 'line', {class: 'down', x1: a, x2: a + w, y1: y + 12, y2: y + 12});
      draw(g, 'rect', {class: 'span down', x: a, y: y + 6, width: w, height: 12, fill: 'transparent', stroke: 'none', 'data-tip': tip});
      return;
    }
    draw(g, 'rect', {class: `span ${span.kind}`, x: a, y: y + 6, width: w, height: 12, fill: span.kind === 'paused' ? '#8c959f' : color(b.id),
      'fill-opacity': span.kind === 'up' ? 1 : .35, 'data-tip': tip});
    if (span.kind !== 'up') draw(g, 'rect', {x: a, y: y + 6, width: w, height: 12, fill: 'url(#hatch)', 'pointer-events': 'none'});
  });
  seen(b.reigns, end, (reign, a, w) => {
    draw(g, 'rect', {class: 'reigns', x: a, y: y + 1, width: w, height: 4, 'data-tip': `broker ${b.id} is the controller of term ${reign.term}`});
  });
  seen(b.cuts, end, (span, a, w) => draw(g, 'line', {class: 'cut', x1: a, x2: a + w, y1: y + 19.5, y2: y + 19.5, 'data-tip': span.text}));
  drawRequests(g, b, y + 23);
}

function drawPartition(svg, plot, p, y) {
  const g = draw(plot, 'g', {class: 'lane partition', 'data-partition': p.name});
  const replicas = members(p);
  const until = p.gone ?? end;
  let labelled = null;
  draw(svg, 'text', {x: 18, y: y + 13}, p.name.length > 20 ? `…${p.name.slice(-19)}` : p.name);
  seen(p.states, until, (s, a, w) => {
    const tip = s.text;
    draw(g, 'rect', {class: s.leader === null ? 'leader nobody' : 'leader', 'data-leader': s.leader ?? 'nobody', x: a, y: y + 4, width: w, height: 12,
      fill: s.leader === null ? undefined : color(s.leader), 'data-tip': tip});
    const label = s.leader === null ? 'nobody' : `${s.leader} · epoch ${s.leader_epoch}`;
    if (label !== labelled && s.leader !== null && w > label.length * 6 + 6) {
      draw(g, 'text', {class: 'on small', x: Math.max(a, 0) + 4, y: y + 14}, label);
      labelled = label;
    }
    if (s.unclean) draw(g, 'path', {class: 'flag', d: `M${a - 4},${y + 1}h8l-4,6z`, 'data-tip': tip});
    replicas.forEach((id, row) => {
      const kind = s.isr.includes(id) ? 'in' : s.eligible.includes(id) ? 'eligible' : s.replicas.includes(id) ? 'out' : null;
      if (!kind) return;
      const moves = s.adding.includes(id) || s.removing.includes(id);
      draw(g, 'rect', {class: `isr ${kind}`, 'data-isr': s.isr.join(' '), x: a, y: y + 18 + row * 5, width: w, height: 4,
        fill: kind === 'in' ? color(id) : undefined, stroke: kind === 'eligible' ? color(id) : undefined, 'data-tip': tip});
      if (moves) draw(g, 'rect', {class: 'moves', x: a, y: y + 18 + row * 5, width: w, height: 4, fill: 'url(#hatch)', 'pointer-events': 'none'});
    });
  });
  const top = y + 20 + replicas.length * 5, high = 20, most = Math.max(last(p.marks)?.offset ?? 0, 1, ...p.marks.slice(-500).map(m => m.offset));
  draw(svg, 'text', {x: 18, y: y + 28, class: 'dim small'}, `high watermark ${last(p.marks)?.offset ?? 0}`);
  const first = Math.max(at(p.marks, from), 0), height = m => top + high - m.offset / most * (high - 1);
  let path = '', before = null, column = -9;
  for (let n = first; n < p.marks.length && (n === first || p.marks[n].at <= to); n++) {
    const m = p.marks[n], px = Math.max(x(m.at), -2);
    // A pixel shows the last of it.
    if (before && Math.floor(px) === column && p.marks[n + 1] && p.marks[n + 1].at <= to) continue;
    path += before ? `H${px.toFixed(1)}V${height(m).toFixed(1)}` : `M${px.toFixed(1)},${height(m).toFixed(1)}`;
    [before, column] = [m, Math.floor(px)];
  }
  const base = draw(g, 'line', {class: 'grid', x1: 0, x2: width, y1: top + high, y2: top + high});
  if (before) {
    const edge = Math.min(x(until), width + 2), start = Math.max(x(p.marks[first].at), -2);
    draw(g, 'path', {class: 'under', d: `${path}H${edge}V${top + high}H${start}z`});
    draw(g, 'path', {class: 'hw', 'data-high-watermark': before.offset, d: `${path}H${edge}`});
  }
  draw(g, 'rect', {class: 'area', x: 0, y: top, width, height: high, fill: 'transparent', 'data-partition-tip': p.name});
}

const members = p => [...new Set(p.states.flatMap(s => s.replicas))].sort((a, b) => a - b);
const found = new Map();
topics.forEach(t => t.partitions.forEach(p => found.set(p.name, p)));

function drawLanes() {
  const rows = [];
  let y = 6;
  for (const id of ids) { const at = y; rows.push((svg, plot) => drawBroker(svg, plot, brokers.get(id), at)); y += 42; }
  for (const topic of topics.values()) {
    const at = y + 8;
    rows.push((svg, plot) => {
      draw(plot, 'line', {class: 'rule', x1: 0, x2: width, y1: at - 3, y2: at - 3});
      draw(svg, 'line', {class: 'rule', x1: 0, x2: LEFT, y1: at - 3, y2: at - 3});
      draw(svg, 'text', {class: 'topic', x: 8, y: at + 12, 'data-topic': topic.name},
        `${topic.open ? '▾' : '▸'} ${topic.name.length > 19 ? `${topic.name.slice(0, 18)}…` : topic.name}`);
      if (!topic.open) draw(plot, 'text', {class: 'dim', x: 6, y: at + 12}, `${topic.partitions.size} partitions: click on the name to see them`);
    });
    y += 26;
    if (!topic.open) continue;
    for (const p of [...topic.partitions.values()].sort((a, b) => a.number - b.number)) {
      const at = y;
      rows.push((svg, plot) => drawPartition(svg, plot, p, at));
      y += 46 + members(p).length * 5;
    }
  }
  const height = Math.max(y + 10, $('chart').clientHeight - $('top').clientHeight - 4);
  $('lanes').replaceChildren();
  const [svg, plot] = frame($('lanes'), height);
  const defs = draw(svg, 'defs');
  for (const [id, stroke] of [['hatch', '#ffffffb0'], ['nobody', '#cf222e55']]) {
    const pattern = draw(defs, 'pattern', {id, width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)'});
    draw(pattern, 'line', {x1: 0, x2: 0, y1: 0, y2: 6, stroke, 'stroke-width': 4});
  }
  stems(plot, height);
  rows.forEach(row => row(svg, plot));
  fronts(plot, height);
}

let scheduled = false;
function redraw() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => { scheduled = false; show(); });
}
function show() {
  width = Math.max($('chart').clientWidth - LEFT, 100);
  drawTop();
  drawLanes();
  drawLines();
}

// ---- the story

const classOf = e => FAILURES.includes(e.kind) ? 'broken' : e.kind in FAULTS ? 'fault' : e.kind in RELIEFS ? 'relief' : e.kind === 'note' ? 'note' : '';
function drawLines() {
  const panel = $('story'), box = $('lines'), now = at(story, cursor);
  box.style.height = `${story.length * LINE}px`;
  const first = Math.max(0, Math.floor(panel.scrollTop / LINE) - 5), count = Math.ceil(panel.clientHeight / LINE) + 10;
  box.replaceChildren(...story.slice(first, first + count).map((e, n) => {
    const div = document.createElement('div');
    div.className = `line ${classOf(e)} ${first + n === now ? 'now' : ''}`;
    div.style.top = `${(first + n) * LINE}px`;
    div.textContent = line(e);
    div.dataset.line = first + n;
    return div;
  }));
}
function go(t, {scroll = true, reveal = false} = {}) {
  cursor = t;
  if (reveal && (t < from || t > to)) [from, to] = fit(t - (to - from) / 2, to - from);
  if (scroll) $('story').scrollTop = Math.max(0, at(story, t) * LINE - $('story').clientHeight / 2);
  redraw();
}

// ---- moving about

// A part of the time that is no longer than the whole, nor outside.
function fit(start, length) {
  const most = whole[1] - whole[0], long = Math.min(Math.max(length, 1e-5), most);
  const begin = Math.min(Math.max(start, whole[0]), whole[1] - long);
  return [begin, begin + long];
}
function zoom(factor, around = (from + to) / 2) {
  [from, to] = fit(around - (around - from) * factor, (to - from) * factor);
  redraw();
}
const pointed = e => time(e.clientX - $('chart').getBoundingClientRect().left - LEFT);
$('chart').addEventListener('wheel', e => {
  if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
    [from, to] = fit(from + (e.deltaX || e.deltaY) / width * (to - from), to - from);
    redraw();
  } else if (e.ctrlKey || e.clientX > $('chart').getBoundingClientRect().left + LEFT) {
    zoom(Math.exp(e.deltaY / 400), pointed(e));
  } else return;
  e.preventDefault();
}, {passive: false});
let drag = null;
$('chart').addEventListener('pointerdown', e => { drag = {x: e.clientX, y: e.clientY, from, top: $('chart').scrollTop, moved: false}; });
addEventListener('pointermove', e => {
  if (!drag) return tip(e);
  if (Math.abs(e.clientX - drag.x) + Math.abs(e.clientY - drag.y) > 3) drag.moved = true;
  if (!drag.moved) return;
  $('tip').hidden = true;
  [from, to] = fit(drag.from - (e.clientX - drag.x) / width * (to - from), to - from);
  $('chart').scrollTop = drag.top - (e.clientY - drag.y);
  redraw();
});
addEventListener('pointerup', e => {
  const clicked = drag && !drag.moved;
  drag = null;
  if (!clicked) return;
  const topic = e.target.closest('[data-topic]')?.dataset.topic;
  if (topic !== undefined) topics.get(topic).open = !topics.get(topic).open;
  const mark = e.target.closest('[data-at]');
  if (mark) go(+mark.dataset.at);
  else if (topic !== undefined) redraw();
  else if (pointed(e) >= from) go(pointed(e));
});
function tip(e) {
  const over = e.target instanceof Element ? e.target.closest('[data-tip],[data-partition-tip]') : null;
  const box = $('tip');
  box.hidden = !over;
  if (!over) return;
  box.textContent = over.dataset.tip ?? stateTip(found.get(over.dataset.partitionTip), pointed(e));
  const {width: w, height: h} = box.getBoundingClientRect();
  box.style.left = `${Math.max(4, Math.min(e.clientX + 14, innerWidth - w - 8))}px`;
  box.style.top = `${e.clientY + 18 + h > innerHeight ? Math.max(4, e.clientY - h - 10) : e.clientY + 18}px`;
}
$('story').addEventListener('scroll', drawLines);
$('lines').addEventListener('click', e => {
  const n = e.target.dataset.line;
  if (n !== undefined) go(story[n].at, {scroll: false, reveal: true});
});
$('in').onclick = () => zoom(.5);
$('out').onclick = () => zoom(2);
$('all').onclick = () => { [from, to] = whole; redraw(); };
addEventListener('keydown', e => {
  const step = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1}[e.key];
  const next = step && story[Math.min(Math.max(at(story, cursor) + step, 0), story.length - 1)];
  if (next) go(next.at, {reveal: true});
  else if (e.key === '+' || e.key === '=') zoom(.5, cursor >= from && cursor <= to ? cursor : undefined);
  else if (e.key === '-') zoom(2);
  else if (e.key === '0') $('all').click();
  else return;
  e.preventDefault();
});
addEventListener('resize', redraw);

// ---- the head

const requests = ids.reduce((sum, id) => sum + brokers.get(id).requests.length, 0);
$('about').textContent = `seed ${seed} · ${seconds(end, 3)} of virtual time · ${ids.length} broker${ids.length === 1 ? '' : 's'} · ${found.size} partitions · `
  + `${requests} requests`;
document.title = `seed ${seed}${failures.length ? ` fails: ${failures[0].invariant ?? failures[0].what}` : ''}`;
const legend = [['#24292f', 'controller'], ['#1a7f9c', 'produce'], ['#7fb9a6', 'fetch'], ['#8c959f', 'others'], ['#cf222e', 'refused'], ['#e8590c', 'no answer, fault'],
  ['#40a02b', 'works again'], ['#0969da', 'high watermark']];
legend.forEach(([fill, text]) => {
  const item = document.createElement('span'), box = document.createElement('i');
  box.style.background = fill;
  item.append(box, text);
  $('legend').append(item);
});
failures.forEach(e => {
  const div = document.createElement('div');
  div.className = 'failure';
  div.textContent = `${seconds(e.at)}: ${e.text.split('\n')[0]}`;
  div.onclick = () => go(e.at, {reveal: true});
  $('failures').append(div);
});
show();
go(cursor);
})();
