// The list of app.MapMySessions: shows it, and ends what is clicked.
'use strict';

const list = document.getElementById('devices');
const status = document.getElementById('devices-status');
const url = list.dataset.url;

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) {
    made.className = className;
  }

  return made;
}

const units = [['day', 86_400], ['hour', 3_600], ['minute', 60]];
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

function ago(time) {
  const seconds = (Date.now() - new Date(time)) / 1000;
  const unit = units.find(([, length]) => seconds >= length);
  const made = element('time', unit ? relative.format(-Math.floor(seconds / unit[1]), unit[0]) : 'just now');
  made.dateTime = time;
  made.title = new Date(time).toLocaleString();
  return made;
}

function paragraph(className, ...parts) {
  const made = element('p', '', className);
  made.append(...parts);
  return made;
}

function signInAgain() {
  location.assign(`/Account/SignIn?returnUrl=${encodeURIComponent(location.pathname)}`);
}

async function show() {
  const response = await fetch(url);
  if (response.status === 401) {
    signInAgain();
    return;
  }

  const { sessions, antiforgery } = await response.json();
  list.replaceChildren(...sessions.map(session => {
    const item = element('li', '', 'card device');
    const about = element('div', '');
    const name = element('h2', session.device);
    if (session.current) {
      name.append(' ', element('span', 'this device', 'badge'));
    }

    about.append(
      name,
      paragraph('', `${session.network ?? 'Unknown network'} · last seen `, ago(session.lastSeen)),
      paragraph('quiet', 'Signed in ', ago(session.signedIn)));
    item.append(element('span', '', `icon ${/iPhone|iPad|Android/.test(session.device) ? 'phone' : 'computer'}`), about);
    if (!session.current) {
      const button = element('button', 'Sign out', 'quiet');
      button.setAttribute('aria-label', `Sign out ${session.device}, ${session.network ?? 'unknown network'}`);
      button.addEventListener('click', () => end(session, antiforgery));
      item.append(button);
    }

    return item;
  }));
  list.setAttribute('aria-busy', 'false');
}

async function end(session, antiforgery) {
  const response = await fetch(`${url}/${session.id}`, { method: 'DELETE', headers: { [antiforgery.header]: antiforgery.token } });
  if (response.status === 401) {
    // The sign-in is not recent enough for that.
    signInAgain();
    return;
  }

  status.textContent = response.ok ? `${session.device} is signed out.` : 'There is no such device any more.';
  await show();
}

show();
