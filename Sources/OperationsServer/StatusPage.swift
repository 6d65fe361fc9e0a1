// The live status page: one self-contained document that asks /status.json once a second.

enum StatusPage {
    static let html = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Millrace</title>
        <link rel="icon" href="data:,">
        <style>\(style)</style>
        </head>
        <body>
        <header>
        <h1>Millrace</h1><span id="state" class="pill">connecting</span><span id="meta"></span>
        </header>
        <main>
        <section id="cards"></section>
        <section class="wide"><h2>Events per second, last two minutes</h2>
        <svg id="chart" viewBox="0 0 600 120" preserveAspectRatio="none" role="img"
         aria-label="events per second"><path id="area"></path><path id="line"></path></svg>
        <div class="axis"><span id="top">0</span><span>now</span></div></section>
        <section class="half"><h2>Lag by partition</h2><div id="lag"></div></section>
        <section class="half"><h2>State</h2><table id="facts"></table></section>
        <section class="wide"><h2>Notes</h2><table id="notes"></table></section>
        </main>
        <script>\(script)</script>
        </body>
        </html>

        """

    private static let style = """
        :root{color-scheme:light dark;--ground:#f4f5f3;--panel:#fff;--ink:#1b211e;--soft:#66706b;
        --rule:#dfe3e0;--mark:#0d7a68;--warn:#a45b00;--bad:#b3261e}
        @media(prefers-color-scheme:dark){:root{--ground:#101413;--panel:#181e1c;--ink:#e6ebe8;
        --soft:#93a09a;--rule:#2a3330;--mark:#4cc7ae;--warn:#e5a24a;--bad:#ff8a80}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--ground);color:var(--ink);
        font:15px/1.45 system-ui,"DejaVu Sans",sans-serif}
        header,main{max-width:1080px;margin:0 auto;padding:0 20px}
        header{display:flex;align-items:center;gap:12px;padding-top:24px;padding-bottom:16px;
        flex-wrap:wrap}
        h1{font-size:22px;margin:0;letter-spacing:-.01em}
        h2{font-size:12px;font-weight:600;color:var(--soft);margin:0 0 10px}
        #meta{color:var(--soft);font-size:13px;margin-left:auto}
        .pill{font-size:12px;font-weight:600;padding:2px 10px;border-radius:99px;
        border:1px solid currentColor;color:var(--soft)}
        .pill.good{color:var(--mark)}.pill.warn{color:var(--warn)}.pill.bad{color:var(--bad)}
        main{display:grid;grid-template-columns:1fr 1fr;gap:14px;padding-bottom:40px}
        section{background:var(--panel);border:1px solid var(--rule);border-radius:10px;
        padding:16px 18px;min-width:0}
        #cards{grid-column:1/-1;display:grid;
        grid-template-columns:repeat(4,1fr);gap:0;padding:0;overflow:hidden}
        .card{padding:16px 18px;box-shadow:-1px 0 var(--rule),0 -1px var(--rule)}
        .card b{display:block;font-size:26px;font-weight:600;font-variant-numeric:tabular-nums;
        letter-spacing:-.02em;white-space:nowrap}
        .card i{font-style:normal;font-size:12px;color:var(--soft)}
        .card em{font-style:normal;font-size:12px;color:var(--soft);display:block;min-height:18px;
        font-variant-numeric:tabular-nums}
        .wide{grid-column:1/-1}
        svg{width:100%;height:120px;display:block}
        #line{fill:none;stroke:var(--mark);stroke-width:2;vector-effect:non-scaling-stroke}
        #area{fill:var(--mark);opacity:.13}
        .axis{display:flex;justify-content:space-between;color:var(--soft);font-size:12px}
        table{width:100%;border-collapse:collapse;font-size:13px}
        td{padding:4px 0;vertical-align:top;border-top:1px solid var(--rule)}
        tr:first-child td{border-top:0}
        #facts td:last-child{text-align:right;font-variant-numeric:tabular-nums}
        #facts td.text{text-align:right;overflow-wrap:anywhere}
        #notes td:nth-child(-n+2){white-space:nowrap;padding-right:14px;color:var(--soft)}
        #notes td:last-child{width:100%;overflow-wrap:anywhere}
        #notes .warning td:nth-child(2){color:var(--warn)}
        #notes .error td:nth-child(2){color:var(--bad)}
        #lag{display:grid;gap:5px;max-height:260px;overflow:auto}
        .bar{display:grid;grid-template-columns:34px 1fr 74px;gap:8px;
        align-items:center;font-size:13px;
        font-variant-numeric:tabular-nums}
        .bar div{height:8px;background:var(--rule);border-radius:4px;overflow:hidden}
        .bar div span{display:block;height:100%;background:var(--mark);border-radius:4px}
        .bar span:last-child{text-align:right}
        .none{color:var(--soft);font-size:13px}
        @media(max-width:720px){main{grid-template-columns:1fr}
        #cards{grid-template-columns:1fr 1fr}#meta{margin-left:0}}
        """

    private static let script = """
        'use strict';
        const $=id=>document.getElementById(id), rates=[], keep=120;
        function el(tag,text,cls){const e=document.createElement(tag);
        if(text!==undefined)e.textContent=text;if(cls)e.className=cls;return e}
        function count(n){if(n===null||n===undefined)return '–';
        if(n>=1e9)return (n/1e9).toFixed(2)+' G';if(n>=1e6)return (n/1e6).toFixed(2)+' M';
        if(n>=1e4)return (n/1e3).toFixed(1)+' k';
        return n>=100||Number.isInteger(n)?String(Math.round(n)):n.toFixed(1)}
        function bytes(n){if(n===null||n===undefined)return '–';
        const u=['B','KiB','MiB','GiB','TiB'];let i=0;
        while(n>=1024&&i<4){n/=1024;i++}return n.toFixed(n<10&&i?1:0)+' '+u[i]}
        function span(s){if(s===null||s===undefined)return '–';
        if(s<1e-3)return Math.round(s*1e6)+' µs';
        if(s<1)return (s*1e3).toFixed(s<1e-2?2:1)+' ms';if(s<120)return s.toFixed(1)+' s';
        if(s<7200)return Math.round(s/60)+' min';if(s<172800)return (s/3600).toFixed(1)+' h';
        return (s/86400).toFixed(1)+' d'}
        function card(value,name,more){const e=el('div',undefined,'card');
        e.append(el('i',name),el('b',value),el('em',more||''));return e}
        function pair(p){return p?'p99 '+span(p.p99):'none lately'}
        function gauge(s,n){const v=s.gauges[n];return v===undefined?null:v}
        function chart(){const top=Math.max(1,...rates),n=rates.length;
        const pts=rates.map((r,i)=>[600-(n-1-i)*600/(keep-1),116-110*r/top]);
        const d=pts.map((p,i)=>(i?'L':'M')+p[0].toFixed(1)+' '+p[1].toFixed(1)).join('');
        $('line').setAttribute('d',d);
        $('area').setAttribute('d',n>1?d+'L600 120L'+pts[0][0].toFixed(1)+' 120Z':'');
        $('top').textContent='peak '+count(top<=1?Math.max(0,...rates):top)+'/s'}
        function row(name,value){const r=el('tr');const text=value.length>24;
        r.append(el('td',name),el('td',value,text?'text':''));return r}
        function show(s){
        const lag=s.lag.reduce((a,p)=>a+p.records,0);
        $('cards').replaceChildren(
        card(count(s.eventsPerSecond),'events per second',count(s.eventsTotal)+' in all'),
        card(span(s.freshness&&s.freshness.p50),'event to feed',pair(s.freshness)),
        card(span(s.request&&s.request.p50),'request latency',pair(s.request)),
        card(count(s.requestsPerSecond),'requests per second',count(s.requestsTotal)+' in all'),
        card(count(lag),'records of lag',s.partitionsOwned+' partitions'),
        card(span(s.commit&&s.commit.p50),'commit of a batch',pair(s.commit)),
        card(count(gauge(s,'users')),'users',count(gauge(s,'users_cached'))+' in memory'),
        card(count(gauge(s,'items')),'items',count(gauge(s,'items_listed'))+' listed'));
        rates.push(s.eventsPerSecond);if(rates.length>keep)rates.shift();chart();
        const most=Math.max(1,...s.lag.map(p=>p.records));
        $('lag').replaceChildren(...(s.lag.length?s.lag.map(p=>{const b=el('div',undefined,'bar');
        const track=el('div'),fill=el('span');
        fill.style.width=(100*p.records/most)+'%';track.append(fill);
        b.append(el('span','p'+p.partition),track,el('span',count(p.records)));return b})
        :[el('div','no partitions yet','none')]));
        const facts=[['store',s.storeTrouble||'works'],
        ['ingest',s.pausedBy?'paused: '+s.pausedBy:'reading'],
        ['rejected records',count(s.rejected)],['dead letters',count(s.deadLetters)],
        ['failed requests',count(s.failuresTotal)],['clients',count(s.connectionsOpen)],
        ['feed entries',count(s.feedEntries)],['resident memory',bytes(s.residentBytes)]];
        $('facts').replaceChildren(...facts.map(f=>row(f[0],f[1])));
        $('notes').replaceChildren(...(s.notes.length?s.notes.slice(0,20).map(n=>{
        const r=el('tr',undefined,n.severity);
        r.append(el('td',new Date(n.time).toLocaleTimeString()),el('td',n.severity),
        el('td',n.text));return r})
        :[row('nothing to report','')]));
        const bad=s.storeTrouble,warn=s.pausedBy;
        $('state').textContent=bad?'store trouble':warn?'ingest paused':'running';
        $('state').className='pill '+(bad?'bad':warn?'warn':'good');
        $('meta').textContent=s.version+' · up '+span(s.uptimeSeconds)}
        async function tick(){try{const r=await fetch('status.json',{cache:'no-store'});
        show(await r.json())}
        catch(e){$('state').textContent='no answer';$('state').className='pill bad'}
        setTimeout(tick,1000)}
        tick();
        """
}
