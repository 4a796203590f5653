// The link to a group, as text and as a QR code.
import { useEffect, useState, type ReactNode } from 'react';
import { Button } from '../ui/button.js';
import { useSession, useText } from '../use.js';

export function InviteLink({ groupID }: { groupID: string }): ReactNode {
  const s = useSession();
  const t = useText();
  const [code, set] = useState('');
  const link = s.groupLink?.(groupID);
  useEffect(() => {
    if (!link) return;
    let current = true;
    import('uqr').then(
      ({ renderSVG }) => current && set(`data:image/svg+xml,${encodeURIComponent(renderSVG(link))}`),
      () => undefined, // the text remains
    );
    return () => {
      current = false;
    };
  }, [link]);
  if (!link) return null;
  const copy = (): void => {
    navigator.clipboard?.writeText(link).then(
      () => s.toast(t('message.copied')),
      (err: unknown) => s.fail(err, 'failed.copyLink'),
    );
  };
  return (
    <section className="invite-link">
      <h3>{t('link')}</h3>
      {code && <img src={code} alt={t('link.code')} width="150" height="150" />}
      <p>
        <a href={link}>{link}</a>
      </p>
      <Button onClick={copy}>{t('link.copy')}</Button>
    </section>
  );
}
