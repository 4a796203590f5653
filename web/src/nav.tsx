import { useState, type ReactNode } from 'react';
import {
  ConversationList,
  GroupList,
  Icon,
  IconButton,
  NewConversation,
  Settings,
  useName,
  UserAvatar,
  useSession,
  type IconName,
} from '@beckon/react';
import { pushState, testPush, turnOffPush, turnOnPush } from './push.js';
import { go } from './route.js';
import type { Saved } from './saved.js';
import { setLanguage, usePageText, usePageTexts, type PageText } from './texts.js';

const places: { id: string; label: PageText; icon: IconName }[] = [
  { id: 'chat', label: 'nav.chat', icon: 'chat' },
  { id: 'calls', label: 'nav.calls', icon: 'phone' },
  { id: 'class', label: 'nav.class', icon: 'school' },
  { id: 'lounge', label: 'nav.room', icon: 'sofa' },
];

/** The languages, by their own names. */
const languages = { en: 'English', zh: '中文' };

/** The navigation: conversations, calls, classrooms, chat rooms. */
export function Nav({
  place,
  id,
  saved,
  onLeave,
  inert,
}: {
  place: string;
  id: string;
  saved: Saved;
  onLeave: () => void;
  inert: boolean;
}): ReactNode {
  const s = useSession();
  const t = usePageText();
  const { locale } = usePageTexts();
  const [dialog, setDialog] = useState<'new' | 'settings'>();
  const me = useName(s.me);
  return (
    <nav className="nav" inert={inert} aria-label={t('nav.label')}>
      <header>
        <UserAvatar userID={s.me} size={38} />
        <strong>{me}</strong>
        <Bell saved={saved} />
        <IconButton icon="add" label={t('nav.new')} onClick={() => setDialog('new')} />
        <IconButton icon="gear" label={t('nav.settings')} onClick={() => setDialog('settings')} />
        <IconButton icon="out" label={t('nav.signOut')} onClick={onLeave} />
      </header>
      <div className="tabs" role="tablist">
        {places.map((p) => (
          <button key={p.id} type="button" role="tab" aria-selected={place === p.id} onClick={() => go(p.id)}>
            <Icon name={p.icon} />
            {t(p.label)}
          </button>
        ))}
      </div>
      {(place === 'chat' || place === 'calls') && (
        <ConversationList
          current={id}
          onOpen={(conversationID, seq) => go('chat', conversationID, ...(seq ? [String(seq)] : []))}
        />
      )}
      {place === 'class' && <GroupList kind="class" current={id} />}
      {place === 'lounge' && <GroupList kind="room" current={id} />}
      {dialog === 'new' && <NewConversation onClose={() => setDialog(undefined)} />}
      {dialog === 'settings' && (
        <Settings onClose={() => setDialog(undefined)}>
          <section>
            <label>
              {t('language')}
              <select
                value={locale.split('-')[0]}
                onChange={(e) => {
                  setLanguage(e.target.value).catch((err: unknown) => s.fail(err, 'failed.texts'));
                }}
              >
                {Object.entries(languages).map(([code, name]) => (
                  <option key={code} value={code} lang={code}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
          </section>
        </Settings>
      )}
    </nav>
  );
}

/** The switch for push notifications, and their test. */
function Bell({ saved }: { saved: Saved }): ReactNode {
  const s = useSession();
  const t = usePageText();
  const subscriber = { client: s.client, saved };
  const [testing, setTesting] = useState(false);
  const [state, setState] = useState(() => pushState(s.me));
  if (state === 'unsupported') return null;
  const toggle = async (): Promise<void> => {
    try {
      if (state === 'on') await turnOffPush(subscriber);
      setState(state === 'on' ? 'off' : await turnOnPush(subscriber));
    } catch (err) {
      s.toast(t('push.failed', { reason: s.reason(err) }), 'error');
    }
  };
  const test = async (): Promise<void> => {
    setTesting(true);
    try {
      const { text, ok } = await testPush(subscriber);
      s.toast(text, ok ? 'info' : 'error');
    } catch (err) {
      s.toast(t('push.testFailed', { reason: s.reason(err) }), 'error');
    } finally {
      setTesting(false);
    }
  };
  return (
    <>
      {state === 'on' && (
        <IconButton icon="send" label={t('push.test')} onClick={() => void test()} disabled={testing} />
      )}
      <IconButton
        icon="bell"
        off={state !== 'on'}
        label={t(`push.${state}`)}
        onClick={() => void toggle()}
        disabled={state === 'denied'}
        aria-pressed={state === 'on'}
      />
    </>
  );
}
