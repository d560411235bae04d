// Refreshes what is marked as live, and asks before something big. The pages work without it.
'use strict';

const status = document.getElementById('status');
const interval = Number(document.body.dataset.refresh);

async function refresh() {
  if (document.hidden || document.querySelector('[data-live]:focus-within')) {
    return;
  }

  try {
    const response = await fetch(location.href, { credentials: 'same-origin', redirect: 'error' });
    if (!response.ok) {
      throw new Error(response.statusText);
    }

    const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
    for (const part of document.querySelectorAll('[data-live]')) {
      const next = fresh.getElementById(part.id);
      if (next) {
        for (const details of part.querySelectorAll('details[open]')) {
          fresh.getElementById(details.id)?.setAttribute('open', '');
        }

        part.replaceWith(document.importNode(next, true));
      }
    }

    status.textContent = '';
  } catch {
    // Signed out, or the server is away: the figures on the page are old, and the page says so.
    status.textContent = 'Not refreshed';
  }
}

if (interval > 0 && document.querySelector('[data-live]')) {
  setInterval(refresh, interval);
}

for (const form of document.querySelectorAll('form[data-confirm]')) {
  form.addEventListener('submit', event => {
    if (!confirm(form.dataset.confirm)) {
      event.preventDefault();
    }
  });
}
