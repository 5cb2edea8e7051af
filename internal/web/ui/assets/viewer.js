// The output of a run: a window on any number of lines, of which the page holds
// only those that can be seen. It binds itself to every
//   <div class="output" data-run="ID" data-url="/runs/ID/lines" data-live="/runs/ID/live" data-download="/runs/ID/download">
// What a run writes is only ever put into the page as text.
(() => {
  'use strict'

  const BLOCK = 200 // lines that are asked for at a time
  const KEEP = 20000 // lines that are remembered
  const MAX_HEIGHT = 8e6 // pixels: browsers know no elements above some 16 million
  const EDGE = 2e5 // pixels at both ends that are not scaled
  const MAX_HITS = 10000
  const MAX_COPY = 10000

  const el = (tag, cls, text) => {
    const e = document.createElement(tag)
    if (cls) e.className = cls
    if (text !== undefined) e.textContent = text
    return e
  }
  const button = (cls, text, title) => {
    const b = el('button', cls, text)
    b.type = 'button'
    if (title) b.title = title
    return b
  }
  const clamp = (x, low, high) => Math.max(low, Math.min(high, x))
  const count = n => n.toLocaleString()
  const recall = key => { try { return localStorage.getItem('bellhop.output.' + key) === '1' } catch { return false } }
  const remember = (key, on) => { try { localStorage.setItem('bellhop.output.' + key, on ? '1' : '0') } catch { /* private mode */ } }

  // ---- colours -------------------------------------------------------------

  const luminance = c => {
    const f = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
    return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2])
  }
  const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)]
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05)
  }
  // readable moves a colour towards black or white until it can be read.
  const readable = (fg, bg) => {
    const to = luminance(bg) > 0.18 ? 0 : 255
    for (let part = 0; part <= 1; part += 0.1) {
      const c = fg.map(v => Math.round(v + (to - v) * part))
      if (contrast(c, bg) >= 4.5) return c
    }
    return [to, to, to]
  }
  const css = c => `rgb(${c[0]} ${c[1]} ${c[2]})`
  const cube = n => {
    if (n >= 232) return Array(3).fill(8 + (n - 232) * 10)
    const at = i => i ? 55 + i * 40 : 0
    return [at(Math.floor((n - 16) / 36)), at(Math.floor((n - 16) / 6) % 6), at((n - 16) % 6)]
  }

  // parse divides a line into pieces {text, style}. A style is null or has what
  // SGR sequences set; all other escape sequences go. What else a terminal
  // would act upon becomes visible.
  // eslint-disable-next-line no-control-regex
  const ESCAPE = /\x1b(?:\[([0-9;:]*)([ -/]*[@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-~])/g
  // eslint-disable-next-line no-control-regex
  const HOSTILE = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g
  const visible = text => text.replace(HOSTILE, c => {
    const n = c.charCodeAt(0)
    if (n < 0x20) return '^' + String.fromCharCode(n + 64)
    if (n === 0x7f) return '^?'
    return '<U+' + n.toString(16).toUpperCase().padStart(4, '0') + '>'
  })
  const parse = text => {
    const pieces = []
    let style = null, from = 0
    const push = to => { if (to > from) pieces.push({ text: visible(text.slice(from, to)), style }) }
    for (const m of text.matchAll(ESCAPE)) {
      push(m.index)
      from = m.index + m[0].length
      if (m[2] === 'm') style = sgr(style, m[1])
    }
    push(text.length)
    return pieces
  }
  const sgr = (old, params) => {
    let s = { ...old }
    const p = params.replace(/:/g, ';').split(';').map(x => x === '' ? 0 : Number(x))
    for (let i = 0; i < p.length; i++) {
      const n = p[i]
      if (n === 0) s = {}
      else if (n === 1) s.bold = true
      else if (n === 2) s.dim = true
      else if (n === 3) s.italic = true
      else if (n === 4) s.under = true
      else if (n === 7) s.inverse = true
      else if (n === 9) s.strike = true
      else if (n === 21 || n === 22) s.bold = s.dim = false
      else if (n === 23) s.italic = false
      else if (n === 24) s.under = false
      else if (n === 27) s.inverse = false
      else if (n === 29) s.strike = false
      else if (n >= 30 && n <= 37) s.fg = n - 30
      else if (n >= 90 && n <= 97) s.fg = n - 82
      else if (n === 39) s.fg = undefined
      else if (n >= 40 && n <= 47) s.bg = n - 40
      else if (n >= 100 && n <= 107) s.bg = n - 92
      else if (n === 49) s.bg = undefined
      else if (n === 38 || n === 48) {
        let c
        if (p[i + 1] === 5) {
          c = clamp(p[i + 2] | 0, 0, 255)
          i += 2
        } else if (p[i + 1] === 2) {
          c = [p[i + 2], p[i + 3], p[i + 4]].map(v => clamp(v | 0, 0, 255))
          i += 4
        } else break
        s[n === 38 ? 'fg' : 'bg'] = c
      }
    }
    return s
  }

  // ---- one viewer ----------------------------------------------------------

  class Viewer {
    constructor(root) {
      this.root = root
      this.url = root.dataset.url
      this.cache = new Map() // line by number
      this.stale = new Map() // of an earlier epoch: shown until there is better
      this.flight = new Map() // block -> AbortController
      this.total = 0
      this.seen = 0 // total when the reader was at the end
      this.done = false
      this.known = false // something was answered
      this.epoch = undefined
      this.top = { n: 1, off: 0 } // the first line in view, and how many pixels of it are above
      this.stick = false
      this.wrap = recall('wrap')
      this.times = recall('times')
      this.range = null // [from, to] that is marked
      this.find = null
      this.last = 0 // scrollTop that is known of
      this.rowHeight = 0
      this.average = 0
      this.shown = new Map() // row by number
      this.widest = 0
      this.build()
      this.begin()
    }

    build() {
      const r = this.root
      r.replaceChildren()
      const bar = el('div', 'out-bar')
      bar.setAttribute('role', 'group')
      bar.setAttribute('aria-label', 'Output')
      const search = el('div', 'out-search')
      this.input = el('input')
      this.input.type = 'search'
      this.input.placeholder = 'Search the output'
      this.input.setAttribute('aria-label', 'Search the output')
      this.input.setAttribute('aria-keyshortcuts', '/')
      this.input.autocomplete = 'off'
      this.input.spellcheck = false
      this.hits = el('span', 'out-hits')
      this.hits.setAttribute('role', 'status')
      this.prev = button('out-icon', '\u2191', 'Previous match (N, Shift+Enter)')
      this.prev.setAttribute('aria-label', 'Previous match')
      this.next = button('out-icon', '\u2193', 'Next match (n, Enter)')
      this.next.setAttribute('aria-label', 'Next match')
      search.append(this.input, this.hits, this.prev, this.next)
      this.errorButton = button('out-first', 'First error', 'Go to what looks like the first error of the last attempt')
      this.wrapButton = button('out-wrap', 'Wrap', 'Wrap long lines')
      this.timesButton = button('out-times', 'Times', 'Show when each line was written, in your time zone')
      this.followButton = button('out-follow', 'Follow', 'Keep the newest line in view')
      this.copyButton = button('out-copy', 'Copy lines', 'Copy the marked lines')
      this.copyButton.hidden = true
      this.state = el('span', 'out-state')
      this.state.setAttribute('role', 'status')
      bar.append(search, this.errorButton, this.wrapButton, this.timesButton, this.followButton, this.copyButton)
      if (r.dataset.download) {
        const a = el('a', 'out-download', 'Download')
        a.href = r.dataset.download
        a.setAttribute('download', '')
        bar.append(a)
      }
      bar.append(this.state)
      this.view = el('div', 'out-view')
      this.view.tabIndex = 0
      this.view.setAttribute('role', 'log')
      this.view.setAttribute('aria-live', 'off') // a thousand lines a second are not to be read out
      this.view.setAttribute('aria-label', 'Output of run ' + r.dataset.run)
      this.space = el('div', 'out-space')
      this.rows = el('div', 'out-rows')
      this.space.append(this.rows)
      this.view.append(this.space)
      this.empty = el('p', 'out-empty', 'Loading\u2026')
      this.newer = button('out-new', '')
      this.newer.hidden = true
      const frame = el('div', 'out-frame')
      frame.append(this.view, this.empty, this.newer)
      r.append(bar, frame)
      this.listen()
      this.toggle()
    }

    listen() {
      this.view.addEventListener('scroll', () => this.scrolled(), { passive: true })
      this.view.addEventListener('keydown', e => this.key(e))
      this.rows.addEventListener('click', e => this.clicked(e))
      this.input.addEventListener('input', () => {
        clearTimeout(this.typing)
        this.typing = setTimeout(() => this.search(this.input.value), 200)
      })
      this.input.addEventListener('keydown', e => {
        if (e.key === 'Enter') {
          e.preventDefault()
          if (!this.find || this.find.text !== this.input.value) this.search(this.input.value)
          else this.step(e.shiftKey)
        } else if (e.key === 'Escape') {
          e.preventDefault()
          this.input.value = ''
          this.search('')
          this.view.focus()
        }
      })
      this.prev.addEventListener('click', () => this.step(true))
      this.next.addEventListener('click', () => this.step(false))
      this.errorButton.addEventListener('click', () => this.firstError())
      this.wrapButton.addEventListener('click', () => {
        this.wrap = !this.wrap
        remember('wrap', this.wrap)
        this.toggle()
      })
      this.timesButton.addEventListener('click', () => {
        this.times = !this.times
        remember('times', this.times)
        this.toggle()
        this.draw() // wrapped lines have another height now
      })
      this.followButton.addEventListener('click', () => this.follow(!this.stick))
      this.newer.addEventListener('click', () => this.follow(true))
      this.copyButton.addEventListener('click', () => this.copy())
      this.off = new AbortController()
      const on = { signal: this.off.signal }
      addEventListener('hashchange', () => this.hash(), on)
      addEventListener('pagehide', () => this.close(), on)
      addEventListener('pageshow', e => { if (e.persisted) this.open() }, on)
      document.addEventListener('visibilitychange', () => document.hidden ? this.close() : this.open(), on)
      document.addEventListener('keydown', e => {
        const typing = e.target instanceof Element && e.target.closest('input, textarea, select, [contenteditable]')
        if (e.key === '/' && !typing && !e.ctrlKey && !e.metaKey && !e.altKey && this.alive()) {
          e.preventDefault()
          this.input.focus()
          this.input.select()
        }
      }, on)
      const dye = () => { this.palette = null; this.refill() }
      matchMedia('(prefers-color-scheme: dark)').addEventListener('change', dye, on)
      this.dye = new MutationObserver(dye)
      this.dye.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
      this.size = new ResizeObserver(() => { this.measure(); this.draw() })
      this.size.observe(this.view)
    }

    // alive reports whether the viewer is still in the page; if not, it ends.
    alive() {
      if (this.root.isConnected) return true
      this.off.abort()
      this.dye.disconnect()
      this.size.disconnect()
      this.close()
      return false
    }

    // ---- what the server says

    async begin() {
      const marked = this.parseHash()
      const data = await this.get({ from: marked ? Math.max(1, marked[0] - 100) : 1, n: BLOCK })
      if (!data) {
        if (this.alive() && !this.known && !this.refused) setTimeout(() => this.begin(), 2000)
        return
      }
      this.take(data)
      if (marked) this.hash()
      else if (!this.done) this.follow(true)
      this.open()
    }

    // get asks for something; it is null when that failed, and the reader is told.
    async get(query, signal) {
      const epoch = this.epoch
      try {
        const res = await fetch(this.url + '?' + new URLSearchParams(query), { signal, headers: { Accept: 'application/json' } })
        const data = await res.json()
        if (!res.ok) {
          this.refused = res.status < 500
          this.say(data.detail || res.statusText, true)
          return null
        }
        // What was asked before numbers changed is void, unless it tells of that.
        if (this.epoch !== epoch && data.epoch !== this.epoch) return null
        if (this.failing) this.say('')
        this.failing = false
        return data
      } catch (e) {
        if (e.name !== 'AbortError' && this.alive()) {
          this.failing = true
          this.say('The server can\u2019t be reached; trying again\u2026', true)
        }
        return null
      }
    }

    // take takes in lines.
    take(data) {
      if (this.epoch !== undefined && this.epoch !== data.epoch) {
        this.stale = this.cache
        this.cache = new Map()
        for (const c of this.flight.values()) c.abort()
        this.flight.clear()
        if (this.find) this.search(this.find.text, true)
      }
      this.epoch = data.epoch
      for (let n = data.total; n > data.total - 4 || n > this.total - 4; n--) { // lines that had not ended may be others now
        if (n < 1) break
        const l = this.cache.get(n)
        if (l && (l.open || n > data.total)) this.cache.delete(n)
      }
      if (data.total > this.total && this.stick) this.seen = data.total
      this.total = data.total
      this.done = data.done
      this.known = true
      for (const l of data.lines) this.cache.set(l.n, l)
      if (this.cache.size > KEEP) {
        for (const n of this.cache.keys()) if (Math.abs(n - this.top.n) > KEEP / 4) this.cache.delete(n)
      }
      if (this.stale.size && this.covered()) this.stale = new Map()
      if (this.total < this.seen) this.seen = this.total
      this.empty.hidden = this.total > 0
      if (!this.total) this.empty.textContent = this.done ? 'This run wrote nothing.' : 'Nothing has been written yet.'
      this.toggle()
      if (this.find && !this.find.running && this.find.next <= this.total) this.collect()
      this.draw()
    }

    covered() {
      for (const n of this.shown.keys()) if (n <= this.total && !this.cache.has(n)) return false
      return true
    }

    say(text, bad) {
      this.state.textContent = text
      this.state.classList.toggle('bad', !!bad)
      if (bad && !this.known) this.empty.textContent = text
    }

    open() {
      if (!this.known || this.done || this.source || document.hidden || !this.alive()) return
      const source = this.source = new EventSource(this.root.dataset.live)
      source.addEventListener('open', () => { this.wait = 0; if (this.lost) this.say(''); this.lost = false })
      source.addEventListener('lines', e => { if (this.alive()) this.take(JSON.parse(e.data)) })
      source.addEventListener('end', () => this.close())
      source.addEventListener('failed', e => {
        this.say(JSON.parse(e.data).detail, true)
        this.close()
      })
      source.addEventListener('error', () => {
        if (source !== this.source) return
        this.lost = true
        this.say('The connection was lost; trying again\u2026', true)
        if (source.readyState !== EventSource.CLOSED) return // the browser tries again
        this.close()
        this.wait = Math.min((this.wait || 500) * 2, 30000)
        this.again = setTimeout(() => this.open(), this.wait)
      })
    }

    close() {
      clearTimeout(this.again)
      if (this.source) this.source.close()
      this.source = null
    }

    // want asks for the lines from first to last that are not known.
    want(first, last) {
      const need = new Set()
      for (let n = first; n <= last; n++) {
        if (!this.cache.has(n)) {
          need.add(Math.floor((n - 1) / BLOCK))
          n = Math.ceil(n / BLOCK) * BLOCK
        }
      }
      for (const [b, c] of this.flight) {
        if (!need.has(b)) {
          c.abort()
          this.flight.delete(b)
        }
      }
      for (const b of need) {
        if (this.flight.has(b)) continue
        const c = new AbortController()
        this.flight.set(b, c)
        this.get({ from: b * BLOCK + 1, n: BLOCK }, c.signal).then(data => {
          if (this.flight.get(b) !== c) return
          if (data) {
            this.flight.delete(b)
            this.take(data)
          } else { // not at once again
            setTimeout(() => {
              if (this.flight.get(b) === c) this.flight.delete(b)
              if (this.alive() && !this.refused) this.draw()
            }, 1000)
          }
        })
      }
    }

    // ---- where things are

    measure() {
      const probe = el('div', 'out-line')
      probe.append(el('span', 'out-s', 'x'))
      this.rows.append(probe)
      this.rowHeight = probe.getBoundingClientRect().height || 18
      probe.remove()
      if (!this.wrap || !this.average) this.average = this.rowHeight
    }

    content() { return this.total * this.average }
    height() { return Math.min(this.content(), MAX_HEIGHT) }
    exact() { return !this.wrap && this.content() <= MAX_HEIGHT }

    // toContent and toScroll turn places of the scroll bar into places among
    // all lines, and back. Both ends are as they are, what is between is scaled.
    toContent(s) {
      const c = this.content(), h = this.height()
      if (c <= h || s <= EDGE) return s
      if (s >= h - EDGE) return c - (h - s)
      return EDGE + (s - EDGE) * (c - 2 * EDGE) / (h - 2 * EDGE)
    }
    toScroll(p) {
      const c = this.content(), h = this.height()
      if (c <= h || p <= EDGE) return p
      if (p >= c - EDGE) return h - (c - p)
      return EDGE + (p - EDGE) * (h - 2 * EDGE) / (c - 2 * EDGE)
    }

    heightOf(n) {
      const row = this.wrap && this.shown.get(n)
      return row ? row.getBoundingClientRect().height : this.wrap ? this.average : this.rowHeight
    }

    // move moves the view by pixels of content.
    move(by) {
      let { n, off } = this.top
      off += by
      while (off < 0 && n > 1) off += this.heightOf(--n)
      if (n === 1 && off < 0) off = 0
      for (let h; n < this.total && off >= (h = this.heightOf(n)); n++) off -= h
      this.top = { n: clamp(n, 1, Math.max(this.total, 1)), off }
    }

    scrolled() {
      const s = this.view.scrollTop
      const by = s - this.last
      if (Math.abs(by) < 1) return
      this.last = s
      const vh = this.view.clientHeight, most = this.view.scrollHeight - vh
      if (by < 0) this.stick = false
      if (this.exact()) {
        this.top = { n: clamp(Math.floor(s / this.rowHeight) + 1, 1, Math.max(this.total, 1)), off: s % this.rowHeight }
        if (by > 0 && s >= most - 2) this.stick = true
      } else if (Math.abs(by) < 2 * vh && s > 0 && s < most - 1) {
        this.move(by)
        this.settle()
      } else if (s <= 0) {
        if (-by < 2 * vh) this.move(by)
        else this.top = { n: 1, off: 0 }
        this.settle()
      } else if (s >= most - 1) {
        this.stick = by >= 2 * vh || this.endInView()
        if (!this.stick) {
          this.move(by)
          this.settle()
        }
      } else {
        const at = this.toContent(s) / this.average
        this.top = { n: clamp(Math.floor(at) + 1, 1, this.total), off: 0 }
        this.settle()
      }
      if (this.stick) this.seen = this.total
      this.draw()
    }

    endInView() {
      const row = this.shown.get(this.total)
      return !!row && row.getBoundingClientRect().top < this.view.getBoundingClientRect().bottom
    }

    // settle puts the scroll bar where the view is, once nobody scrolls.
    settle() {
      clearTimeout(this.settling)
      this.settling = setTimeout(() => this.align(), 150)
    }

    align() {
      if (this.stick || this.exact()) return
      const row = this.heightOf(this.top.n)
      const s = this.toScroll((this.top.n - 1 + clamp(this.top.off / row, 0, 1)) * this.average)
      this.scrollTo(s)
      this.draw()
    }

    scrollTo(s) {
      this.view.scrollTop = s
      this.last = this.view.scrollTop
    }

    // go puts a line into the middle of the view.
    go(n) {
      this.stick = false
      this.fit()
      this.top = { n: clamp(n, 1, Math.max(this.total, 1)), off: 0 }
      this.move(-(this.view.clientHeight - this.rowHeight) / 2)
      const row = this.exact() ? this.rowHeight : this.heightOf(this.top.n)
      this.scrollTo(this.toScroll((this.top.n - 1) * this.average + clamp(this.top.off / row, 0, 1) * this.average))
      if (this.exact()) {
        this.top = { n: clamp(Math.floor(this.last / this.rowHeight) + 1, 1, Math.max(this.total, 1)), off: this.last % this.rowHeight }
      }
      this.draw()
    }

    follow(on) {
      this.stick = on
      if (on) this.seen = this.total
      this.toggle()
      this.draw()
    }

    // eye is the line that a reader probably looks at.
    eye() {
      const v = this.view.getBoundingClientRect()
      const inView = n => {
        const r = this.shown.get(n)?.getBoundingClientRect()
        return !!r && r.bottom > v.top && r.top < v.bottom
      }
      return [this.find?.at, this.range?.[0]].find(n => n && inView(n))
    }

    fit() {
      const h = Math.max(this.height(), 1) + 'px'
      if (this.space.style.height !== h) this.space.style.height = h
    }

    // ---- what is seen

    toggle() {
      const press = (b, on) => b.setAttribute('aria-pressed', String(on))
      press(this.wrapButton, this.wrap)
      press(this.timesButton, this.times)
      press(this.followButton, this.stick)
      this.followButton.hidden = this.done
      const was = this.root.classList.contains('wrap')
      const eye = was !== this.wrap && this.known ? this.eye() : 0
      this.root.classList.toggle('wrap', this.wrap)
      this.root.classList.toggle('times', this.times)
      const digits = Math.max(String(this.total).length, 3)
      if (digits !== this.digits) {
        this.digits = digits
        this.root.style.setProperty('--out-digits', digits + 'ch')
      }
      if (was !== this.wrap) {
        this.average = 0
        this.measure()
        this.fit()
        this.top.off = 0
        if (eye) this.go(eye)
        else if (!this.stick) this.scrollTo(this.toScroll((this.top.n - 1) * this.average))
        this.draw()
      }
      const news = this.total - this.seen
      this.newer.hidden = this.stick || news <= 0 || !this.watched
      if (!this.newer.hidden) this.newer.textContent = `${count(news)} new ${news === 1 ? 'line' : 'lines'} \u2193`
      if (this.stick) this.watched = true
    }

    draw() {
      if (this.drawing) return
      this.drawing = requestAnimationFrame(() => {
        this.drawing = 0
        if (this.alive()) this.render()
      })
    }

    refill() {
      for (const row of this.shown.values()) row.line = undefined
      this.draw()
    }

    render() {
      if (!this.rowHeight) this.measure()
      const view = this.view
      this.fit()
      const vh = view.clientHeight
      const fits = Math.ceil(vh / this.rowHeight) + 1
      if (this.stick) {
        this.scrollTo(view.scrollHeight - vh)
        this.top = { n: clamp(this.total - fits + 1, 1, Math.max(this.total, 1)), off: 0 }
      }
      const over = fits
      const first = Math.max(1, this.top.n - over), last = Math.min(this.total, this.top.n + fits + over)
      this.want(Math.max(1, this.top.n - over), last)
      this.fill(first, last)
      let y
      if (this.exact()) {
        y = (first - 1) * this.rowHeight
      } else {
        const rows = this.rows.getBoundingClientRect()
        if (this.wrap && this.shown.size) {
          const mean = rows.height / this.shown.size
          this.average = this.average ? this.average * 0.9 + mean * 0.1 : mean
          this.fit()
          if (this.stick) this.scrollTo(view.scrollHeight - vh)
        }
        const topRow = this.shown.get(this.top.n)
        const at = topRow ? topRow.getBoundingClientRect().top - rows.top : 0
        y = this.last - this.top.off - at
        const end = y + rows.height - this.last // where the last row ends, below the view's top
        if (last === this.total && (this.stick || end < vh)) y += Math.max(vh - end, this.stick ? -Infinity : 0)
        if (first === 1) y = this.stick || this.last > 0 ? (rows.height <= vh ? 0 : y) : Math.min(y, 0)
        const whole = Math.max(this.height(), vh)
        if (y + rows.height > whole && !this.stick) y = Math.min(y, this.last) // what is too low makes the bar longer for a moment only
      }
      this.rows.style.transform = `translateY(${Math.round(y)}px)`
      if (this.stick) { // the first line in view, for when one scrolls away
        const edge = view.getBoundingClientRect().top
        for (const [n, row] of this.shown) {
          const r = row.getBoundingClientRect()
          if (r.bottom > edge) {
            this.top = { n, off: Math.max(edge - r.top, 0) }
            break
          }
        }
      }
      this.toggle()
    }

    // fill makes the rows from first to last, and uses those that are there.
    fill(first, last) {
      for (const [n, row] of this.shown) {
        if (n < first || n > last) {
          row.remove()
          this.shown.delete(n)
        }
      }
      const sorted = new Map()
      let before = null
      for (let n = first; n <= last; n++) {
        let row = this.shown.get(n)
        if (!row) {
          row = this.row(n)
          if (before) before.after(row)
          else this.rows.prepend(row)
        }
        before = row
        sorted.set(n, row)
        const line = this.cache.get(n) || this.stale.get(n) || null
        const prev = n > 1 ? this.cache.get(n - 1) || this.stale.get(n - 1) : null
        const attempt = line && (n === 1 ? line.a !== 1 : prev && prev.a !== line.a) ? line.a : 0
        if (row.line !== line || row.attempt !== attempt) {
          row.line = line
          row.attempt = attempt
          this.write(row, line, attempt)
        }
        const marked = !!this.range && n >= this.range[0] && n <= this.range[1]
        row.classList.toggle('marked', marked)
        row.classList.toggle('current', !!this.find && this.find.at === n)
      }
      this.shown = sorted
    }

    row(n) {
      const row = el('div', 'out-line')
      const a = el('a', 'out-n', String(n))
      a.href = '#L' + n
      a.tabIndex = -1
      a.setAttribute('aria-label', 'Line ' + n)
      row.append(a, el('time', 'out-t'), el('span', 'out-c'), el('span', 'out-s'))
      row.line = undefined
      return row
    }

    write(row, line, attempt) {
      const [, time, channel, text] = row.children
      text.replaceChildren()
      channel.replaceChildren()
      row.querySelector('.out-a')?.remove()
      row.classList.toggle('err', !!line && line.c === 2)
      row.classList.toggle('begins', attempt > 0)
      if (!line) {
        time.textContent = ''
        return
      }
      const at = new Date(line.t)
      time.textContent = clock.format(at)
      time.dateTime = at.toISOString()
      time.title = day.format(at)
      if (line.c === 2) {
        channel.textContent = '!'
        channel.title = 'stderr'
        channel.setAttribute('role', 'img')
        channel.setAttribute('aria-label', 'stderr')
      } else {
        for (const a of ['title', 'role', 'aria-label']) channel.removeAttribute(a)
      }
      if (line.gap) text.append(el('span', 'out-gap', `${size(line.gap)} before this are not kept`))
      this.colour(text, parse(line.s))
      if (line.cut) text.append(el('span', 'out-gap', `the line goes on: ${size(line.cut)} in all; download it to see them`))
      if (attempt) row.append(el('span', 'out-a', 'attempt ' + attempt))
    }

    // colour puts pieces of text into an element, with what is searched for marked.
    colour(into, pieces) {
      const marks = this.marks(pieces)
      let at = 0, m = 0
      for (const p of pieces) {
        const span = p.style ? this.styled(p.style) : into
        let from = 0
        while (from < p.text.length) {
          while (m < marks.length && marks[m][1] <= at + from) m++
          const [a, b] = m < marks.length ? marks[m] : [Infinity, Infinity]
          const inside = a <= at + from
          const to = Math.min(p.text.length, (inside ? b : a) - at)
          const part = p.text.slice(from, to)
          span.append(inside ? el('mark', '', part) : part)
          from = to
        }
        if (span !== into) into.append(span)
        at += p.text.length
      }
    }

    marks(pieces) {
      if (!this.find) return []
      const all = pieces.map(p => p.text).join(''), low = all.toLowerCase(), want = this.find.text.toLowerCase()
      const marks = []
      if (low.length !== all.length) return marks
      for (let i = low.indexOf(want); i >= 0; i = low.indexOf(want, i + want.length)) marks.push([i, i + want.length])
      return marks
    }

    colours() {
      if (!this.palette) {
        const probe = el('span')
        this.view.append(probe)
        const style = getComputedStyle(probe)
        const read = value => {
          probe.style.color = value
          return (style.color.match(/[\d.]+/g) || [0, 0, 0]).slice(0, 3).map(Number)
        }
        this.palette = { bg: read('var(--out-bg)'), fg: read('var(--out-fg)') }
        for (let i = 0; i < 16; i++) this.palette[i] = read(`var(--out-${i})`)
        probe.remove()
      }
      return this.palette
    }

    styled(s) {
      const span = el('span')
      const c = span.classList
      for (const k of ['bold', 'italic', 'under', 'strike']) if (s[k]) c.add('out-' + k)
      let { fg, bg } = s
      if (s.inverse) [fg, bg] = [bg === undefined ? 'bg' : bg, fg === undefined ? 'fg' : fg]
      if (s.dim && fg === undefined && bg === undefined) c.add('out-dim')
      if (fg === undefined && bg === undefined) return span
      const pal = this.colours()
      const rgb = x => Array.isArray(x) ? x : x in pal ? pal[x] : cube(x)
      const named = x => typeof x === 'number' && x < 16
      if (named(bg)) c.add('out-b' + bg)
      else if (bg !== undefined) span.style.backgroundColor = css(rgb(bg))
      const under = bg === undefined ? pal.bg : rgb(bg)
      const over = fg !== undefined ? rgb(fg) : contrast([0, 0, 0], under) > contrast([255, 255, 255], under) ? [0, 0, 0] : [255, 255, 255]
      if (named(fg) && (bg === undefined || contrast(over, under) >= 4.5)) c.add('out-f' + fg)
      else span.style.color = css(readable(over, under))
      return span
    }

    // ---- links to lines

    parseHash() {
      const m = /^#L(\d{1,9})(?:-L?(\d{1,9}))?$/.exec(location.hash)
      if (!m) return null
      const a = Number(m[1]), b = Number(m[2] || m[1])
      return a < 1 || b < 1 ? null : [Math.min(a, b), Math.max(a, b)]
    }

    hash() {
      if (!this.alive()) return
      this.range = this.parseHash()
      this.copyButton.hidden = !this.range
      if (this.range) this.go(this.range[0])
      else this.draw()
    }

    clicked(e) {
      const a = e.target instanceof Element && e.target.closest('a.out-n')
      if (!a || e.ctrlKey || e.metaKey || e.button) return
      e.preventDefault()
      const n = Number(a.textContent)
      if (e.shiftKey && this.range) {
        this.range = [Math.min(this.range[0], n), Math.max(this.range[1], n)]
        getSelection().removeAllRanges()
      } else if (this.range && this.range[0] === n && this.range[1] === n) {
        this.range = null
      } else {
        this.range = [n, n]
      }
      this.stick = false
      const r = this.range
      const hash = !r ? ' ' : r[0] === r[1] ? '#L' + r[0] : `#L${r[0]}-L${r[1]}`
      history.replaceState(history.state, '', r ? hash : location.pathname + location.search)
      this.copyButton.hidden = !r
      this.draw()
    }

    async copy() {
      const [from, to] = this.range
      const last = Math.min(to, this.total, from + MAX_COPY - 1)
      const lines = []
      for (let n = from; n <= last;) {
        const l = this.cache.get(n)
        if (l) {
          lines.push(l.s)
          n++
          continue
        }
        const data = await this.get({ from: n, n: Math.min(1000, last - n + 1) })
        if (!data || !data.lines.length) return
        for (const l of data.lines) lines.push(l.s)
        n += data.lines.length
      }
      const text = lines.map(s => s.replace(ESCAPE, '')).join('\n') + '\n'
      const done = `${count(lines.length)} ${lines.length === 1 ? 'line' : 'lines'} copied`
      try {
        await navigator.clipboard.writeText(text)
        this.say(done)
      } catch { // no clipboard without HTTPS
        const t = el('textarea', 'out-hidden')
        t.value = text
        this.root.append(t)
        t.select()
        this.say(document.execCommand('copy') ? done : 'The browser does not let the page copy; use Download', false)
        t.remove()
        this.view.focus()
      }
    }

    // ---- search

    search(text, again) {
      if (this.find && this.find.cancel) this.find.cancel.abort()
      if (!text) {
        this.find = null
        this.hits.textContent = ''
        this.refill()
        return
      }
      this.find = { text, lines: [], next: 1, done: false, at: again && this.find ? this.find.at : 0, cancel: new AbortController() }
      this.refill()
      this.collect()
      if (!again) this.step(false, true)
    }

    // collect gathers the matches from the beginning, for their number.
    async collect() {
      const f = this.find
      f.running = true
      while (f === this.find && f.next <= this.total && f.lines.length < MAX_HITS) {
        const data = await this.get({ search: f.text, from: f.next, dir: 'next', n: 1000 }, f.cancel.signal)
        if (!data || f !== this.find) break
        f.lines.push(...data.lines)
        f.next = data.next
        f.done = data.done
        this.tally()
        if (data.done) break
      }
      f.running = false
      if (f === this.find) this.tally()
    }

    tally() {
      const f = this.find, n = f.lines.length
      const more = f.running || n >= MAX_HITS ? '+' : ''
      const i = f.at ? f.lines.indexOf(f.at) : -1
      this.hits.textContent = i >= 0 ? `${count(i + 1)} of ${count(n)}${more}` : n || !more ? `${count(n)}${more} found` : 'searching\u2026'
    }

    // step goes to the next match, or the one before, round the end.
    async step(back, here) {
      const f = this.find
      if (!f) return
      const at = f.at || (back ? this.top.n : this.top.n - 1)
      let n = 0
      const known = f.lines.filter(x => back ? x < at : x > at)
      if (back ? at <= f.next : known.length) n = (back ? known[known.length - 1] : known[0]) || 0
      const ask = async (from, dir) => {
        for (let next = from; ;) {
          const data = await this.get({ search: f.text, from: next, dir, n: 1 }, f.cancel.signal)
          if (!data || f !== this.find) return -1
          if (data.line) return data.line
          if (data.done) return 0
          next = data.next
        }
      }
      if (!n) n = await ask(back ? at - 1 : at + 1, back ? 'prev' : 'next')
      if (!n) n = await ask(back ? this.total : 1, back ? 'prev' : 'next') // round
      if (f !== this.find || n < 0) return
      if (!n) {
        this.tally()
        return
      }
      f.at = n
      this.go(n)
      this.tally()
      if (!here) this.view.focus({ preventScroll: true })
    }

    async firstError() {
      for (let from = 0; ;) {
        const data = await this.get({ error: 'first', from })
        if (!data) return
        if (data.line) {
          this.range = [data.line, data.line]
          this.copyButton.hidden = false
          history.replaceState(history.state, '', '#L' + data.line)
          this.go(data.line)
          this.say('')
          return
        }
        if (data.done) {
          this.say('No error was found in the output')
          return
        }
        from = data.next
      }
    }

    key(e) {
      if (e.ctrlKey || e.metaKey || e.altKey) return
      const page = this.view.clientHeight - this.rowHeight
      const by = { PageDown: page, PageUp: -page, ArrowDown: this.rowHeight, ArrowUp: -this.rowHeight, ' ': e.shiftKey ? -page : page }[e.key]
      if (by) this.nudge(by)
      else if (e.key === 'Home') {
        this.stick = false
        this.top = { n: 1, off: 0 }
        this.scrollTo(0)
        this.draw()
      } else if (e.key === 'End') this.follow(true)
      else if (e.key === 'n') this.step(false)
      else if (e.key === 'N') this.step(true)
      else return
      e.preventDefault()
    }

    // nudge scrolls as the keys do.
    nudge(by) {
      if (this.exact()) {
        this.view.scrollTop += by
        return
      }
      if (by > 0 && this.endInView()) {
        const row = this.shown.get(this.total).getBoundingClientRect(), view = this.view.getBoundingClientRect()
        if (row.bottom - view.bottom <= by) {
          this.follow(true)
          return
        }
      }
      this.stick = false
      this.move(by)
      this.align()
    }
  }

  const size = n => n < 1024 ? `${n} bytes` : n < 1 << 20 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`
  const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23' })
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' })

  const mount = within => {
    for (const root of within.querySelectorAll('.output[data-url]')) {
      if (!root.viewer || !root.viewer.root) root.viewer = new Viewer(root)
    }
  }
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', () => mount(document))
  else mount(document)
  document.addEventListener('htmx:load', () => mount(document))
})()
