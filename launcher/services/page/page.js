// keeprolling - the status page
// SPDX-License-Identifier: LGPL-2.1-or-later
'use strict';

const WINDOW_S = 300;          // of the growth chart
const TIMELINE_S = 3600;       // of the outage bar
const SILENT_MS = 5000;        // one event comes each second; without any the page is not live
const SIGNS = {pass: '✓', warn: '!', fail: '✕', none: '?'};
const COLORS = {pass: '#2fb170', warn: '#e3a008', fail: '#e5484d', none: '#7b8794'};

const $ = id => document.getElementById(id);
const charts = new Map();      // "file/pipeline" -> [{t, bytes}]
const cards = new Map();
let lastEvent = 0;
let lastStatus = null;

// --- words -------------------------------------------------------------------------------

function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (bytes >= 1000 && i < units.length - 1) { bytes /= 1000; i++; }
  return `${bytes >= 100 || i === 0 ? Math.round(bytes) : bytes.toFixed(1)} ${units[i]}`;
}

function rate(bps) {
  if (bps >= 1e6) return `${(bps / 1e6).toFixed(1)} Mb/s`;
  return `${Math.round(bps / 1e3)} kb/s`;
}

function span(s) {
  if (s === null || s === undefined) return '–';
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

const seconds = text => text ? Date.parse(text) / 1000 : null;
const age = (now, text) => text ? Math.max(0, now - seconds(text)) : null;
const clock = text => new Date(text).toLocaleTimeString();
const key = p => `${p.file}/${p.name}`;
// Camera= names it for people; without one the file does.
const title = p => p.camera !== p.name ? p.camera : p.file;

// --- elements ------------------------------------------------------------------------------

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const FACTS = ['Bit rate', 'Recorded', 'Last keyframe', 'Durable behind by', 'Disk full in',
               'Gaps in 24 h', 'Restarts', 'Drift', 'Timestamp repairs', 'Sources'];

function newCard(p) {
  const card = {
    root: make('article', {'data-key': key(p)}),
    name: make('h2'), file: make('span', {class: 'file'}), state: make('span', {class: 'state'}),
    why: make('p', {class: 'why'}),
    chart: make('canvas', {class: 'growth', role: 'img'}),
    rateCaption: make('span'),
    timeline: make('canvas', {class: 'timeline', role: 'img'}),
    facts: {},
  };
  const list = make('dl');
  for (const name of FACTS) {
    card.facts[name] = make('dd');
    list.append(make('div', {}, make('dt', {}, name), card.facts[name]));
  }
  card.root.append(
    make('div', {class: 'head'}, card.name, card.file, card.state), card.why, card.chart,
    make('p', {class: 'caption'}, make('span', {}, 'growth, last 5 minutes'), card.rateCaption),
    card.timeline,
    make('p', {class: 'caption'}, make('span', {}, 'outages, last hour'), make('span', {}, 'now')),
    list);
  $('pipelines').append(card.root);
  return card;
}

function fact(card, name, text, status) {
  const dd = card.facts[name];
  dd.textContent = text;
  if (status && status !== 'pass') dd.dataset.status = status; else delete dd.dataset.status;
}

// The canvas follows the screen's resolution and the width the page gives it.
function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, width, height);
  return {context, width, height, ratio};
}

const theme = name => getComputedStyle(document.body).getPropertyValue(name).trim();

function drawGrowth(card, samples, now, status) {
  const {context, width, height, ratio} = prepare(card.chart);
  const rates = [];
  for (let i = 1; i < samples.length; i++) {
    const dt = samples[i].t - samples[i - 1].t;
    if (dt > 0) rates.push({t: samples[i].t, bps: Math.max(0, samples[i].bytes - samples[i - 1].bytes) * 8 / dt});
  }
  const top = Math.max(1, ...rates.map(r => r.bps)) * 1.15;
  const x = t => width * (1 - (now - t) / WINDOW_S), y = bps => height - ratio - (height - 2 * ratio) * bps / top;
  context.strokeStyle = theme('--line');
  context.lineWidth = ratio;
  context.strokeRect(ratio / 2, ratio / 2, width - ratio, height - ratio);
  if (rates.length === 0) return;
  context.beginPath();
  context.moveTo(x(rates[0].t), height);
  for (const r of rates) context.lineTo(x(r.t), y(r.bps));
  context.lineTo(x(rates[rates.length - 1].t), height);
  context.closePath();
  context.globalAlpha = .25;
  context.fillStyle = COLORS[status];
  context.fill();
  context.globalAlpha = 1;
  context.beginPath();
  rates.forEach((r, i) => i ? context.lineTo(x(r.t), y(r.bps)) : context.moveTo(x(r.t), y(r.bps)));
  context.strokeStyle = COLORS[status];
  context.lineWidth = 2 * ratio;
  context.stroke();
  card.chart.setAttribute('aria-label', `growth now ${rate(rates[rates.length - 1].bps)}`);
}

function outagesOf(status, p, now) {
  const list = status.history
    .filter(h => h.file === p.file && (h.pipeline === p.name || h.pipeline === ''))
    .filter(h => ['crash', 'hang', 'restart', 'reconnect', 'stall', 'disk', 'failed', 'replacement'].includes(h.kind))
    .map(h => ({from: seconds(h.time), to: h.seconds === null ? seconds(h.time) + 1 : seconds(h.time) + h.seconds,
                color: h.kind === 'reconnect' ? COLORS.warn : COLORS.fail}));
  if (p.data.gap_since) list.push({from: seconds(p.data.gap_since), to: now, color: COLORS.fail});
  return list.filter(o => o.to > now - TIMELINE_S);
}

function drawTimeline(card, status, p, now) {
  const {context, width, height} = prepare(card.timeline);
  const x = t => width * Math.min(1, Math.max(0, 1 - (now - t) / TIMELINE_S));
  const start = x(now - status.uptime_s);
  context.fillStyle = theme('--line');
  context.fillRect(0, 0, width, height);
  context.globalAlpha = .55;
  context.fillStyle = COLORS.pass;
  context.fillRect(start, 0, width - start, height);
  context.globalAlpha = 1;
  const outages = outagesOf(status, p, now);
  for (const o of outages) {
    context.fillStyle = o.color;
    context.fillRect(x(o.from), 0, Math.max(3, x(o.to) - x(o.from)), height);
  }
  card.timeline.setAttribute('aria-label', outages.length ? `${outages.length} outages in the last hour` : 'no outage in the last hour');
}

// --- the page --------------------------------------------------------------------------------

function reason(p) {
  const bad = Object.entries(p.checks).filter(([, c]) => c.status !== 'pass' && c.reason)
    .sort(([, a], [, b]) => (b.status === 'fail') - (a.status === 'fail'));
  if (p.restarts.next_in_s !== null) return `next start in ${span(p.restarts.next_in_s)}: ${p.restarts.last_reason}`;
  if (bad.length) return bad.map(([, c]) => c.reason).join('; ');
  return p.restarts.last_reason ? `last repair: ${p.restarts.last_reason}` : '';
}

function showPipeline(status, p, now) {
  const card = cards.get(key(p)) || newCard(p);
  cards.set(key(p), card);
  const samples = charts.get(key(p)) || [];
  charts.set(key(p), samples);
  // Figures come once a second, events also in between: a rate over less would be a spike.
  if (!samples.length || now > samples[samples.length - 1].t + .9) samples.push({t: now, bytes: p.data.received_bytes});
  while (samples.length && samples[0].t < now - WINDOW_S) samples.shift();

  card.root.dataset.status = p.status;
  card.name.textContent = title(p);
  card.file.textContent = title(p) === p.file ? p.name : key(p);
  card.state.textContent = p.data.stall_reason ? 'stalled' : p.state;
  card.why.textContent = reason(p);
  card.rateCaption.textContent = rate(p.data.bitrate_bps);
  const c = p.checks;
  fact(card, 'Bit rate', rate(p.data.bitrate_bps), c.growth.status);
  fact(card, 'Recorded', size(p.data.written_bytes));
  fact(card, 'Last keyframe', p.data.last_keyframe ? `${span(age(now, p.data.last_keyframe))} ago` : '–', c.keyframe.status);
  fact(card, 'Durable behind by', size(Math.max(0, p.data.written_bytes - p.data.durable_bytes)), c.sync.status);
  fact(card, 'Disk full in', c.disk.runway_s === null || c.disk.runway_s === undefined ? '–' : span(c.disk.runway_s), c.disk.status);
  fact(card, 'Gaps in 24 h', p.gaps_24h.count ? `${p.gaps_24h.count}, ${span(p.gaps_24h.seconds)}` : 'none', p.gaps_24h.count ? 'warn' : 'pass');
  fact(card, 'Restarts', `${p.restarts.pipeline + p.restarts.watchdog} (+${p.restarts.reconnects} reconnect${p.restarts.reconnects === 1 ? '' : 's'})`);
  fact(card, 'Drift', `${p.data.drift_ppm.toFixed(1)} ppm`);
  fact(card, 'Timestamp repairs', String(p.data.corrections));
  fact(card, 'Sources', p.data.sources ? `${p.data.sources - p.data.sources_silent} of ${p.data.sources} send` : '–',
       p.data.sources_silent ? 'warn' : 'pass');
  drawGrowth(card, samples, now, p.status);
  drawTimeline(card, status, p, now);
}

function showHistory(status) {
  const rows = status.history.slice(-12).reverse().map(h => make('tr', {},
    make('td', {}, clock(h.time)), make('td', {}, h.kind),
    make('td', {}, h.pipeline ? `${h.file}/${h.pipeline}` : h.file),
    make('td', {}, span(h.seconds)), make('td', {}, h.reason)));
  $('history').hidden = rows.length === 0;
  $('history-rows').replaceChildren(...rows);
}

function setVerdict(status, title, summary) {
  document.body.dataset.status = status;
  $('sign').textContent = SIGNS[status];
  $('verdict').textContent = title;
  $('summary').textContent = summary;
  document.title = `${SIGNS[status]} ${title} - keeprolling`;
  const icon = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='7' fill='${COLORS[status]}'/></svg>`;
  document.querySelector('link[rel=icon]').href = `data:image/svg+xml,${encodeURIComponent(icon)}`;
}

function show(status) {
  const now = seconds(status.time);
  const all = status.pipelines.length;
  const recording = status.pipelines.filter(p => p.state === 'playing' && !p.data.stall_reason && !p.data.gap_since).length;
  const troubled = status.pipelines.filter(p => p.status !== 'pass').map(title);
  const verdict = status.stopping ? 'Stopping'
    : status.status === 'pass' ? (recording === all && all ? 'All well' : 'Starting')
    : status.status === 'warn' ? 'Needs a look' : 'Trouble';
  setVerdict(status.stopping ? 'warn' : status.status, verdict,
             `${recording} of ${all} recording` + (troubled.length ? `; look at ${troubled.slice(0, 4).join(', ')}` : ''));
  $('clock').textContent = `${clock(status.time)}, up ${span(status.uptime_s)}`;
  const present = new Set(status.pipelines.map(key));
  for (const [name, card] of cards) if (!present.has(name)) { card.root.remove(); cards.delete(name); charts.delete(name); }
  for (const p of status.pipelines) showPipeline(status, p, now);
  showHistory(status);
  $('footer').textContent = `keeprolling ${status.version}, instance ${status.instance}`;
}

// --- the stream ------------------------------------------------------------------------------
// EventSource cannot carry a token, so the events are read from a fetch.

function onEvent(text) {
  lastEvent = Date.now();
  const status = JSON.parse(text);
  if (status) { lastStatus = status; show(status); }
}

async function read(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) if (part.startsWith('data: ')) onEvent(part.slice(6));
  }
}

function askForToken(message) {
  $('token-form').hidden = false;
  $('token-error').textContent = message;
  setVerdict('none', 'Locked', '');
  return new Promise(resolve => {
    $('token-form').onsubmit = event => {
      event.preventDefault();
      sessionStorage.setItem('token', $('token').value);
      $('token').value = '';
      $('token-form').hidden = true;
      resolve();
    };
  });
}

async function connect() {
  const token = sessionStorage.getItem('token');
  const response = await fetch('events', {headers: token ? {Authorization: `Bearer ${token}`} : {}, cache: 'no-store'});
  if (response.status === 401) {
    sessionStorage.removeItem('token');
    await askForToken(token ? 'That was not it.' : '');
  } else if (response.ok) {
    await read(response);
  } else {
    throw new Error(await response.text());
  }
}

async function follow() {
  for (;;) {
    try { await connect(); } catch (error) { /* shown by the check below */ }
    await new Promise(resolve => setTimeout(resolve, 1000));
  }
}

// A page that has stopped being live must not look healthy.
setInterval(() => {
  if (!$('token-form').hidden || Date.now() - lastEvent < SILENT_MS) return;
  setVerdict('none', 'No connection', lastStatus ? `the last news is from ${clock(lastStatus.time)}` : 'is keeprolling running?');
}, 1000);
addEventListener('resize', () => { if (lastStatus) show(lastStatus); });
follow();
