/* Pictures of the web client in a real browser, desktop and phone, and what may not come alive in it:

     npm install --legacy-peer-deps puppeteer-core@22 jquery@3.2.1 golden-layout@1.5.9 bootstrap@4.6.0 popper.js@1.16.1 favico.js@0.3.10
     CHROMIUM=/usr/bin/chromium SHOTS=. node webclient.js http://localhost:4001 Bella 390 800 phone [new]

   The stock client takes its libraries from several CDNs; here they come from node_modules. The arguments are the game's web
   address, an account's name, the width and height of the screen, what the pictures are called, and "new" where the account
   is to be created. The game's provider answers with markdown to "stall", slowly to "slow", with hostile text to "hostile".
   It prints how many words on progress are still visible, and every link and mark that stands in an answer. */
const modules = (process.env.MODULES || 'node_modules') + '/';
const P=require('puppeteer-core'),fs=require('fs');
const lib={'code.jquery.com':modules + 'jquery/dist/jquery.min.js','goldenlayout.min.js':modules + 'golden-layout/dist/goldenlayout.min.js','goldenlayout-base.css':modules + 'golden-layout/src/css/goldenlayout-base.css','goldenlayout-dark-theme.css':modules + 'golden-layout/src/css/goldenlayout-dark-theme.css','bootstrap.min.css':modules + 'bootstrap/dist/css/bootstrap.min.css','bootstrap.min.js':modules + 'bootstrap/dist/js/bootstrap.min.js','popper.min.js':modules + 'popper.js/dist/umd/popper.min.js','favico':modules + 'favico.js/favico.js'};
(async()=>{
 const [,,base,name,w,h,out]=process.argv;
 const b=await P.launch({executablePath: process.env.CHROMIUM || '/usr/bin/chromium',headless:true,args:['--headless','--no-sandbox','--disable-gpu','--disable-background-networking','--user-data-dir=' + require('os').tmpdir() + '/uniwizard-' + out]});
 const p=await b.newPage(); await p.setViewport({width:+w,height:+h,isMobile:+w<600,hasTouch:+w<600});
 await p.setRequestInterception(true);
 p.on('request',r=>{const u=r.url(); if(u.startsWith(base)||u.startsWith('ws')||u.startsWith('data')) return r.continue();
   for(const k in lib) if(u.includes(k)){ return r.respond({status:200,headers:{'access-control-allow-origin':'*','content-type':k.endsWith('css')?'text/css':'text/javascript'},body:fs.readFileSync(lib[k])}); }
   console.log('blocked',u); r.abort();});
 p.on('console',m=>{const t=m.text(); if(/error|Error/.test(t)) console.log('console:',t.slice(0,150))}); p.on('pageerror',e=>console.log('pageerror',String(e).slice(0,200)));
 p.on('dialog',d=>{console.log('DIALOG',d.message()); d.dismiss()});
 await p.goto(base+'/',{waitUntil:'domcontentloaded'}); await new Promise(r=>setTimeout(r,1500)); await p.screenshot({path:`${process.env.SHOTS || '.'}/${out}-home.png`});
 await p.goto(base+'/webclient/',{waitUntil:'load'}); await new Promise(r=>setTimeout(r,4000));
 const type=async(t,ms=1500)=>{ await p.evaluate(t=>{const f=document.querySelector('.inputfield,#inputfield'); f.focus(); f.value=t;},t); await p.keyboard.press('Enter'); await new Promise(r=>setTimeout(r,ms)); };
 await p.screenshot({path:`${process.env.SHOTS || '.'}/${out}-banner.png`});
 if(process.argv[7]=='new'){ await type(`create ${name} tjo-hopp-99`); await type('y',2500); }
 await type(`connect ${name} tjo-hopp-99`,4000);
 await p.screenshot({path:`${process.env.SHOTS || '.'}/${out}-room.png`});
 console.log('cols', await p.evaluate(()=>document.querySelector('.lm_content .content, #messagewindow')?.clientWidth));
 await type('think plan a stall for lamp oil',5000); await p.screenshot({path:`${process.env.SHOTS || '.'}/${out}-markdown.png`});
 await type('think slow: plan a stall for lamp oil again',3800); await p.screenshot({path:`${process.env.SHOTS || '.'}/${out}-progress.png`});
 await new Promise(r=>setTimeout(r,8000)); await p.screenshot({path:`${process.env.SHOTS || '.'}/${out}-after.png`});
 console.log('progress visible', await p.evaluate(()=>[...document.querySelectorAll('.uniwizard-progress')].filter(e=>getComputedStyle(e).display!='none').length, ), await p.evaluate(()=>document.querySelectorAll('.uniwizard-progress').length));
 await type('think give me a hostile answer',4000); await p.screenshot({path:`${process.env.SHOTS || '.'}/${out}-hostile.png`});
 console.log('in answer: links', await p.evaluate(()=>[...document.querySelectorAll('.uniwizard-answer a')].map(a=>a.getAttribute('href')+' '+(a.getAttribute('onclick')||''))), 'marks', await p.evaluate(()=>[...document.querySelectorAll('.uniwizard-answer')].filter(e=>e.textContent.includes('◆')).length));
 await type('think review this code:\n\ndef f(x):\n    if x:\n\n        return 1\n',5000); await type('think/history 1',1500); await p.screenshot({path:`${process.env.SHOTS || '.'}/${out}-paste.png`});
 await b.close();
})().catch(e=>{console.log(e);process.exit(1)});
