// The actions on a message: a button that opens a bar, which closes with the choice, Escape, or a click elsewhere.
import { useImperativeHandle, useLayoutEffect, useRef, useState, type ReactNode, type Ref } from 'react';
import type { Schemas } from 'beckon';
import { forward } from 'beckon/inbox';
import { EmojiPicker } from '../later.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { Name } from '../ui/avatar.js';
import { useSession, useText, useTranslator } from '../use.js';
import { useHold } from './held.js';
import type { Conversing } from './line.js';
import { describe, type Line } from './lines.js';

type Message = Schemas['Message'];

/** The reactions that the menu offers first. */
const offered = ['👍', '❤️', '😂', '😮', '😢', '🙏'];

/** Distance of the bar from the edges of the window, in pixels. */
const margin = 8;

/** The button and the bar of actions on a message. */
export function Actions({
  line,
  own,
  open: openMenu,
  conversing,
  onReact,
}: {
  line: Line;
  own: boolean;
  /** Gets the function that opens the bar. */
  open: Ref<() => void>;
  conversing: Conversing;
  onReact: (reaction: string) => void;
}): ReactNode {
  const s = useSession();
  const t = useText();
  const translator = useTranslator();
  const m = line.message!;
  const { conversationID } = conversing.timeline;
  const [open, setOpen] = useState(false);
  const [dialog, setDialog] = useState<'forward' | 'emoji'>();
  useHold(open || dialog !== undefined);
  const button = useRef<HTMLButtonElement>(null);
  const bar = useRef<HTMLSpanElement>(null);
  const show = (): void => bar.current!.showPopover();
  // The bar is above the messages, beside the button, inside the window.
  useLayoutEffect(() => {
    const b = bar.current;
    if (!open || !b) return;
    const at = button.current!.getBoundingClientRect();
    const { width, height } = b.getBoundingClientRect();
    const below = at.bottom + height + margin < innerHeight;
    b.style.top = `${Math.max(margin, below ? at.bottom : at.top - height)}px`;
    b.style.left = `${Math.max(margin, Math.min(at.right - width, innerWidth - width - margin))}px`;
  }, [open]);
  useImperativeHandle(openMenu, () => show);
  const then = (run: () => void) => (): void => {
    bar.current?.hidePopover();
    run();
  };
  const copy = (): void => {
    navigator.clipboard?.writeText(describe(translator, m)).then(
      () => s.toast(t('message.copied')),
      (err: unknown) => s.fail(err, 'failed.copy'),
    );
  };
  const recall = (): void => {
    s.client
      .revokeMessage({ conversationID, messageID: m.messageID })
      .catch((err: unknown) => s.fail(err, 'failed.recall'));
  };
  const remove = (): void => {
    s.client
      .deleteMessages({ conversationID, seqList: [line.entry.seq] })
      .catch((err: unknown) => s.fail(err, 'failed.delete'));
  };
  const choices: [string, (() => void) | false | undefined | ''][] = [
    [t('action.reply'), () => conversing.onReply(m)],
    [t('action.forward'), !m.call && (() => setDialog('forward'))],
    [t('action.copy'), m.text && copy],
    [t('action.edit'), own && m.text && (() => conversing.onEdit(m))],
    [t('action.recall'), own && recall],
    [t('action.delete'), remove],
  ];
  return (
    <span className="actions">
      <button
        ref={button}
        type="button"
        className="more"
        aria-label={t('actions')}
        aria-expanded={open}
        title={t('actions')}
        onClick={() => (open ? bar.current?.hidePopover() : show())}
      >
        ⋯
      </button>
      <span
        ref={bar}
        popover="auto"
        className="bar"
        role="group"
        aria-label={t('actions.of')}
        onToggle={(e) => setOpen(e.newState === 'open')}
      >
        {open && (
          <>
            <span className="offered">
              {offered.map((r) => (
                <button
                  key={r}
                  type="button"
                  aria-label={t('reaction.add', { reaction: r })}
                  onClick={then(() => onReact(r))}
                >
                  {r}
                </button>
              ))}
              <button type="button" aria-label={t('reaction.more')} onClick={then(() => setDialog('emoji'))}>
                +
              </button>
            </span>
            {choices.map(
              ([label, run]) =>
                run && (
                  <Button key={label} tone="quiet" onClick={then(run)}>
                    {label}
                  </Button>
                ),
            )}
          </>
        )}
      </span>
      {dialog === 'forward' && <Forward m={m} onClose={() => setDialog(undefined)} />}
      {dialog === 'emoji' && (
        <Dialog title={t('reaction.more')} onClose={() => setDialog(undefined)}>
          <EmojiPicker
            onPick={(e) => {
              setDialog(undefined);
              onReact(e);
            }}
          />
        </Dialog>
      )}
    </span>
  );
}

/** The dialog that picks the conversation to forward to. */
function Forward({ m, onClose }: { m: Message; onClose: () => void }): ReactNode {
  const s = useSession();
  const t = useText();
  const send = (conversationID: string): void => {
    onClose();
    s.inbox.send(conversationID, forward(m)).then(
      () => s.toast(t('message.forwarded')),
      (err: unknown) => s.fail(err, 'failed.forward'),
    );
  };
  return (
    <Dialog title={t('forward')} onClose={onClose}>
      <div className="pick">
        {s.inbox.conversations.map((c) => (
          <Button key={c.conversationID} onClick={() => send(c.conversationID)}>
            {c.userID ? <Name id={c.userID} /> : c.name || c.groupID}
          </Button>
        ))}
      </div>
    </Dialog>
  );
}
