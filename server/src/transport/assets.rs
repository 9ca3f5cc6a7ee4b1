//! The chat page, the operator's page and what they load, embedded in the binary.

/// A file that is served as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    /// Where it is served.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($path:literal, $content_type:ident, $file:literal;)*) => {
        &[$(Asset { path: $path, content_type: $content_type, body: include_bytes!($file) }),*]
    };
}

const ASSETS: &[Asset] = assets! {
    "/", HTML, "../../web/index.html";
    "/client.js", JS, "../../../clients/js/client.js";
    "/client/outbox.js", JS, "../../../clients/js/client/outbox.js";
    "/client/protobuf.js", JS, "../../../clients/js/client/protobuf.js";
    "/client/shared.js", JS, "../../../clients/js/client/shared.js";
    "/theme.css", CSS, "../../web/theme.css";
    "/chat.css", CSS, "../../web/chat.css";
    "/conversation.css", CSS, "../../web/conversation.css";
    "/theme.js", JS, "../../web/theme.js";
    "/main.js", JS, "../../web/main.js";
    "/session.js", JS, "../../web/session.js";
    "/state.js", JS, "../../web/state.js";
    "/entries.js", JS, "../../web/entries.js";
    "/scrollback.js", JS, "../../web/scrollback.js";
    "/delivery.js", JS, "../../web/delivery.js";
    "/uploads.js", JS, "../../web/uploads.js";
    "/content.js", JS, "../../web/content.js";
    "/panes.js", JS, "../../web/panes.js";
    "/pane.js", JS, "../../web/pane.js";
    "/log.js", JS, "../../web/log.js";
    "/rows.js", JS, "../../web/rows.js";
    "/message.js", JS, "../../web/message.js";
    "/composer.js", JS, "../../web/composer.js";
    "/tray.js", JS, "../../web/tray.js";
    "/view.js", JS, "../../web/view.js";
    "/drawer.js", JS, "../../web/drawer.js";
    "/toast.js", JS, "../../web/toast.js";
    "/token.js", JS, "../../web/token.js";
    "/dom.js", JS, "../../web/dom.js";
    "/format.js", JS, "../../web/format.js";
    "/admin", HTML, "../../web/admin/admin.html";
    "/admin/admin.css", CSS, "../../web/admin/admin.css";
    "/admin/main.js", JS, "../../web/admin/main.js";
    "/admin/api.js", JS, "../../web/admin/api.js";
    "/admin/lists.js", JS, "../../web/admin/lists.js";
    "/admin/plots.js", JS, "../../web/admin/plots.js";
    "/admin/stream.js", JS, "../../web/admin/stream.js";
    "/admin/units.js", JS, "../../web/admin/units.js";
    "/admin/watch.js", JS, "../../web/admin/watch.js";
    "/admin/why.js", JS, "../../web/admin/why.js";
    "/icon.svg", SVG, "../../web/icon.svg";
    "/favicon.ico", SVG, "../../web/icon.svg";
};

/// The file at this path.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path that a file at `base` means.
    fn resolved(quoted: &str, base: &'static str) -> String {
        if !quoted.starts_with('.') {
            return quoted.to_owned();
        }
        let above = |path: &'static str| path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (mut folder, mut name) = (above(base), quoted.strip_prefix("./").unwrap_or(quoted));
        while let Some(rest) = name.strip_prefix("../") {
            (folder, name) = (above(folder), rest);
        }
        format!("{folder}/{name}")
    }

    #[test]
    fn a_module_is_found_from_where_it_is_named() {
        for (quoted, base, path) in [
            ("./b.js", "/a.js", "/b.js"),
            ("./c/d.js", "/a.js", "/c/d.js"),
            ("./e.js", "/c/d.js", "/c/e.js"),
            ("../a.js", "/c/d.js", "/a.js"),
            ("/a.js", "/c/d.js", "/a.js"),
        ] {
            assert_eq!(resolved(quoted, base), path, "{quoted} in {base}");
        }
    }

    #[test]
    fn every_module_and_style_sheet_that_is_loaded_is_served() {
        let mut seen = 0;
        for asset in ASSETS.iter().filter(|asset| asset.content_type != SVG) {
            let text = str::from_utf8(asset.body).unwrap();
            for quoted in text.split(['"', '\'']).skip(1).step_by(2) {
                let path = &resolved(quoted, asset.path);
                if path.starts_with('/') && (path.ends_with(".js") || path.ends_with(".css")) {
                    assert!(
                        find(path).is_some(),
                        "{} loads {quoted}, which is not served",
                        asset.path
                    );
                    seen += 1;
                }
            }
        }
        assert!(seen > 10, "only {seen} references were found");
    }
}
