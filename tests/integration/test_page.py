#!/usr/bin/env python3
# keeprolling - the status page in a real browser
# SPDX-License-Identifier: LGPL-2.1-or-later

import re
import socket
import time

import webdriver
from support import BUILD, PIPELINES, Skip, SrtFeed, check, clip, free_port, run, test

SCREENSHOTS = BUILD / 'test-screenshots'
TOKEN = 'a-token-for-the-page-0123456789'


def start(t, *feeds, options=()):
    """A supervisor with one recording per feed, and the address of its page."""
    files = []
    for number, feed in enumerate(feeds, 1):
        path = t.dir / f'cam{number}.pipeline'
        path.write_text((PIPELINES / 'record-srt.pipeline').read_text()
                        .replace('srt://127.0.0.1:7001?mode=caller', feed.uri)
                        .replace('OUT = recordings', f'OUT = {t.dir}/rec{number}'))
        files.append(path)
    process = t.run_pipeline(*files, options=['--listen=127.0.0.1:0', *options])
    found = t.wait(lambda: re.search(r'status page at (\S+)', process.output()),
                   'the status page is announced', alive=[process])
    return process, found[1]


def browser(t, **options):
    reason = webdriver.missing()
    if reason:
        raise Skip(reason)
    return webdriver.Browser(t, free_port(socket.SOCK_STREAM), **options)


def shoot(page, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(SCREENSHOTS / f'{name}.png')


def verdict(page):
    return page.text('#verdict')


@test(limit=120)
def shows_health_trouble_and_its_end(t):
    page = browser(t)
    feeds = [SrtFeed(t, clip()).start() for _ in range(2)]
    process, url = start(t, *feeds)
    page.open(url)
    t.wait(lambda: verdict(page) == 'All well', 'all is well', 40, alive=[process])
    check(page.text('#summary') == '2 of 2 recording', page.text('#summary'))
    cards = page.run('return [...document.querySelectorAll("article h2")].map(e => e.innerText)')
    check(cards == ['cam1', 'cam2'], f'cards: {cards}')
    drawn = ('return [...document.querySelectorAll("canvas.growth")].map(c => new Set(c.getContext'
             '("2d").getImageData(0, 0, c.width, c.height).data.filter((x, i) => i % 4 == 3)).size)')
    t.wait(lambda: min(page.run(drawn)) > 2, 'the growth charts show a curve')
    time.sleep(3)                       # a few more seconds of curve, for people who look
    shoot(page, 'all-well')

    feeds[0].kill()
    t.wait(lambda: verdict(page) == 'Needs a look', 'the page shows that a feed is away', 20)
    t.wait(lambda: page.text('article .state') == 'reconnecting', 'its state')
    check('look at cam1' in page.text('#summary'), page.text('#summary'))
    check(page.run('return document.title').startswith('! '), 'the title says it too')
    t.wait(lambda: 'reconnect' in (page.text('#history') or ''), 'the history names it')
    time.sleep(2)
    shoot(page, 'feed-away')

    feeds[0].start()
    t.wait(lambda: verdict(page) == 'All well', 'all is well again', 30)
    t.wait(lambda: page.text('#history-rows td:nth-child(4)') != '–', 'how long it took')

    page.resize(360, 740)
    shoot(page, 'phone')
    width = page.run('return [document.documentElement.scrollWidth, innerWidth]')
    check(width[0] <= width[1], f'wider than a phone: {width}')

    hosts = page.run('return [...new Set(performance.getEntriesByType("resource")'
                     '.map(e => new URL(e.name).origin))]')
    check(hosts == [url.rstrip('/')], f'asked others for something: {hosts}')
    complaints = [entry['message'] for entry in page.log() if entry['level'] == 'SEVERE']
    check(not complaints, f'the browser complains: {complaints}')

    process.stop()
    t.wait(lambda: verdict(page) == 'No connection', 'a page without news does not look healthy')
    shoot(page, 'no-connection')
    page.close()


@test(limit=60)
def asks_for_the_token(t):
    page = browser(t)
    token = t.dir / 'token'
    token.write_text(TOKEN + '\n')
    token.chmod(0o600)
    _, url = start(t, SrtFeed(t, clip()).start(), options=[f'--token-file={token}'])
    page.open(url)
    t.wait(lambda: verdict(page) == 'Locked', 'the page asks for the token')
    enter = ('document.querySelector("#token").value = "{}";'
             'document.querySelector("#token-form").requestSubmit()')
    page.run(enter.format('not-the-token-at-all'))
    t.wait(lambda: page.text('#token-error') == 'That was not it.', 'a wrong one is refused')
    page.run(enter.format(TOKEN))
    t.wait(lambda: verdict(page) == 'All well', 'the right one opens it', 30)
    check(TOKEN not in page.run('return document.documentElement.outerHTML'), 'token in the page')
    page.close()


if __name__ == '__main__':
    run()
