import { useEffect, useRef, useState, type ReactNode } from 'react';
import uPlot from 'uplot';

export interface Line {
  label: string;
  color: string;
  values: (number | null)[];
  fill?: boolean;
  unit?: string;
}

/** Colors of plots, distinguishable with color vision deficiency. */
export const colors = {
  teal: '#1b9e77',
  orange: '#d95f02',
  violet: '#7570b3',
  pink: '#e7298a',
  green: '#66a61e',
  gold: '#e6ab02',
  brown: '#a6761d',
};

/** Returns the lines stacked, the first at the bottom. */
export function stacked(lines: Line[]): Line[] {
  const sum: number[] = [];
  return lines
    .map((l) => ({ ...l, fill: true, values: l.values.map((v, i) => (sum[i] = (sum[i] ?? 0) + (v ?? 0))) }))
    .reverse();
}

/** A plot over time with a live legend. */
export function Plot({
  title,
  at,
  lines,
  unit,
  percent = false,
  shown,
}: {
  title: string;
  at: number[];
  lines: Line[];
  unit: string;
  percent?: boolean;
  shown?: (line: Line, i: number) => string;
}): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const [dark, setDark] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches);
  useEffect(() => {
    const q = matchMedia('(prefers-color-scheme: dark)');
    const change = (): void => setDark(q.matches);
    q.addEventListener('change', change);
    return () => q.removeEventListener('change', change);
  }, []);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const ink = dark ? '#a3b5ac' : '#5b6a63';
    const grid = { stroke: dark ? '#2e433b' : '#e5ddcf', width: 1 };
    const plot = new uPlot(
      {
        width: el.clientWidth,
        height: 210,
        padding: [10, 8, 0, 0],
        cursor: { points: { size: 7 } },
        legend: { live: true },
        scales: {
          x: { time: true },
          y: { range: (_u, _min, max) => (percent ? [0, 100] : [0, Math.max(1, (max ?? 0) * 1.1)]) },
        },
        axes: [
          { stroke: ink, grid, ticks: grid },
          {
            stroke: ink,
            grid,
            ticks: grid,
            size: 52,
            values: (_u, ticks) => ticks.map((t) => `${t.toLocaleString()}${unit}`),
          },
        ],
        series: [
          { value: '{HH}:{mm} {DD}.{MM}.' },
          ...lines.map((l) => ({
            label: l.label,
            stroke: l.color,
            width: 2,
            points: { size: 4 },
            ...(l.fill ? { fill: `${l.color}55` } : {}),
            value: (_u: uPlot, v: number | null, _s: number, i: number | null) =>
              i === null || v === null ? '–' : shown ? shown(l, i) : `${Math.round(v * 10) / 10}${unit}`,
          })),
        ],
      },
      [at.map((t) => t / 1000), ...lines.map((l) => l.values)] as uPlot.AlignedData,
      el,
    );
    const size = new ResizeObserver(() => plot.setSize({ width: el.clientWidth, height: 210 }));
    size.observe(el);
    return () => {
      size.disconnect();
      plot.destroy();
    };
  }, [at, lines, unit, percent, shown, dark]);
  return (
    <figure className="plot">
      <figcaption>{title}</figcaption>
      <div ref={box} />
    </figure>
  );
}
