"""Opens a page in Qt's browser engine off screen: `browser.py PAGE SHOT`; prints what it saw."""

import json
import os
import sys

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = "--disable-gpu"
if hasattr(os, "geteuid") and os.geteuid() == 0:
    os.environ["QTWEBENGINE_DISABLE_SANDBOX"] = "1"  # Chromium refuses it to root

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtWebEngineCore import (
    QWebEnginePage,
    QWebEngineProfile,
    QWebEngineUrlRequestInterceptor,
)
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QApplication

SIZE = (1100, 2600)
LOOK = """JSON.stringify({
  images: Array.from(document.images).map(i => i.complete && i.naturalWidth > 100),
  heading: document.querySelector('h1').innerText,
  banner_at_top: document.querySelector('.banner').getBoundingClientRect().top === 0,
  wider_than_window: document.documentElement.scrollWidth > window.innerWidth,
})"""


class Interceptor(QWebEngineUrlRequestInterceptor):
    def __init__(self):
        super().__init__()
        self.urls = []

    def interceptRequest(self, info):  # noqa: N802 - Qt's name
        self.urls.append(info.requestUrl().toString()[:200])


class Page(QWebEnginePage):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.messages = []

    def javaScriptConsoleMessage(self, level, message, line, source):  # noqa: N802 - Qt's name
        self.messages.append(message)


def main(page_file, shot):
    application = QApplication([])
    profile, interceptor = QWebEngineProfile(), Interceptor()
    profile.setUrlRequestInterceptor(interceptor)
    view = QWebEngineView()
    page = Page(profile, view)
    view.setPage(page)
    view.resize(*SIZE)

    def on_look(text):
        seen = json.loads(text)
        seen |= {"requests": interceptor.urls, "messages": page.messages}
        view.grab().save(shot)
        print(json.dumps(seen), flush=True)
        page.deleteLater()
        QTimer.singleShot(0, application.quit)

    def on_loaded(done):
        if not done:
            application.exit(1)
        # pictures are decoded and painted after the page has been read
        QTimer.singleShot(1500, lambda: page.runJavaScript(LOOK, on_look))

    view.loadFinished.connect(on_loaded)
    view.load(QUrl.fromLocalFile(page_file))
    view.show()
    return application.exec()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
