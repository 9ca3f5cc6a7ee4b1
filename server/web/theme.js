// Dark or light: the system's choice, unless the reader has made another. A classic script, loaded before the page is
// painted, so that a chosen theme never flashes in late.

(() => {
  const KEY = 'tidewire.theme';
  const root = document.documentElement;
  const systemIsDark = matchMedia('(prefers-color-scheme: dark)');

  // Storage may be forbidden; then the choice lasts as long as the page.
  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const store = (theme) => {
    try {
      if (theme === null) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // As above.
    }
  };

  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : systemIsDark.matches);

  const apply = (theme) => {
    if (theme === 'dark' || theme === 'light') root.dataset.theme = theme;
    else delete root.dataset.theme;
    root.classList.toggle('dark', isDark());
    for (const button of document.querySelectorAll('.theme-toggle')) show(button);
  };

  const show = (button) => {
    const label = isDark() ? 'Switch to the light theme' : 'Switch to the dark theme';
    button.setAttribute('aria-label', label);
    button.title = label;
  };

  // Choosing what the system has anyway means to follow the system again.
  const toggle = () => {
    const wanted = isDark() ? 'light' : 'dark';
    const choice = (wanted === 'dark') === systemIsDark.matches ? null : wanted;
    store(choice);
    apply(choice);
  };

  apply(stored());
  systemIsDark.addEventListener('change', () => apply(stored()));
  document.addEventListener('DOMContentLoaded', () => apply(stored()));
  document.addEventListener('click', (event) => event.target.closest?.('.theme-toggle') && toggle());
})();
