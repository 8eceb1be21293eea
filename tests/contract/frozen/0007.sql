BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
CREATE TABLE arm_rewards (
	record_id VARCHAR(24) NOT NULL, 
	arm VARCHAR(40) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	value DOUBLE, 
	finite BOOLEAN NOT NULL, 
	CONSTRAINT pk_arm_rewards PRIMARY KEY (record_id, arm, name), 
	CONSTRAINT fk_arm_rewards_record_id_arm FOREIGN KEY(record_id, arm) REFERENCES arms (record_id, arm) ON DELETE CASCADE
);
INSERT INTO "arm_rewards" VALUES('89qr2gg93k5t','search','verifier',0.75,1);
INSERT INTO "arm_rewards" VALUES('89qr2gg93k5t','search','clip',0.5,1);
INSERT INTO "arm_rewards" VALUES('89qr2gg93k5t','search','size',-1.0,1);
INSERT INTO "arm_rewards" VALUES('89qr2gg93k5t','ode','verifier',0.75,1);
INSERT INTO "arm_rewards" VALUES('89qr2gg93k5t','ode','clip',NULL,0);
INSERT INTO "arm_rewards" VALUES('89qr2gg93k5t','ode','size',-1.0,1);
INSERT INTO "arm_rewards" VALUES('89qr2gg93k5t','no_search','verifier',0.75,1);
INSERT INTO "arm_rewards" VALUES('89qr2gg93k5t','no_search','clip',0.5,1);
INSERT INTO "arm_rewards" VALUES('89qr2gg93k5t','no_search','size',-1.0,1);
CREATE TABLE arms (
	record_id VARCHAR(24) NOT NULL, 
	arm VARCHAR(40) NOT NULL, 
	image VARCHAR(80) NOT NULL, 
	latents VARCHAR(80) NOT NULL, 
	trajectories INTEGER NOT NULL, 
	trail JSON NOT NULL, 
	nfe INTEGER NOT NULL, 
	decodes INTEGER NOT NULL, 
	reward_calls INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_arms PRIMARY KEY (record_id, arm), 
	CONSTRAINT fk_arms_record_id FOREIGN KEY(record_id) REFERENCES sessions (record_id) ON DELETE CASCADE
);
INSERT INTO "arms" VALUES('89qr2gg93k5t','search','c27639a1373a4403ec4bf0ec022a7e890b95def9463b6b2dac9ac3584920ba8b.webp','dfca60e14089c758a351a8e6d8042d6fbe6885fa79be6b60d3715ad421876d05.safetensors',1,'[0.2,null]',50,9,9,2.5,9);
INSERT INTO "arms" VALUES('89qr2gg93k5t','ode','99f4047d5b39c2860d2e16d0e47ecd4707362220c5d1d7e89ab30dc459152c83.webp','dfca60e14089c758a351a8e6d8042d6fbe6885fa79be6b60d3715ad421876d05.safetensors',1,'[0.2,null]',4,9,9,2.5,10);
INSERT INTO "arms" VALUES('89qr2gg93k5t','no_search','8a45d2391d649d3645952a516a5f9af5ed25b6be088bc0ed3a13420e7a77c662.webp','dfca60e14089c758a351a8e6d8042d6fbe6885fa79be6b60d3715ad421876d05.safetensors',1,'[0.2,null]',4,9,9,2.5,11);
CREATE TABLE candidate_rewards (
	record_id VARCHAR(24) NOT NULL, 
	step INTEGER NOT NULL, 
	iteration INTEGER NOT NULL, 
	candidate INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	value DOUBLE, 
	finite BOOLEAN NOT NULL, 
	CONSTRAINT pk_candidate_rewards PRIMARY KEY (record_id, step, iteration, candidate, name), 
	CONSTRAINT fk_candidate_rewards_record_id_step_iteration_candidate FOREIGN KEY(record_id, step, iteration, candidate) REFERENCES candidates (record_id, step, iteration, candidate) ON DELETE CASCADE
);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,0,0,'verifier',0.1,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,0,0,'clip',3.33333333333333314829e-01,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,0,0,'size',-1.5,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,0,1,'verifier',NULL,0);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,0,1,'clip',0.5,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,0,1,'size',-2.5,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,0,2,'verifier',NULL,0);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,0,2,'clip',0.25,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,0,2,'size',NULL,0);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,1,0,'verifier',3.00000000000000044408e-01,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,1,0,'clip',3.33333333333333314829e-01,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,1,0,'size',-1.5,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,1,1,'verifier',NULL,0);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,1,1,'clip',0.5,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,1,1,'size',-2.5,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,1,2,'verifier',NULL,0);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,1,2,'clip',0.25,1);
INSERT INTO "candidate_rewards" VALUES('89qr2gg93k5t',0,1,2,'size',NULL,0);
CREATE TABLE candidates (
	record_id VARCHAR(24) NOT NULL, 
	step INTEGER NOT NULL, 
	iteration INTEGER NOT NULL, 
	candidate INTEGER NOT NULL, 
	image VARCHAR(80) NOT NULL, 
	total DOUBLE, 
	finite BOOLEAN NOT NULL, 
	norm DOUBLE, 
	kurtosis DOUBLE, 
	CONSTRAINT pk_candidates PRIMARY KEY (record_id, step, iteration, candidate), 
	CONSTRAINT fk_candidates_record_id_step_iteration FOREIGN KEY(record_id, step, iteration) REFERENCES iterations (record_id, step, iteration) ON DELETE CASCADE
);
INSERT INTO "candidates" VALUES('89qr2gg93k5t',0,0,0,'7ceedbefe428c49da6b611e45fb92ab5a76ab35293118141c2586537d48e3a42.webp',2.66666666666666662965e-01,1,1.0,3.0);
INSERT INTO "candidates" VALUES('89qr2gg93k5t',0,0,1,'de5d90b2eb2ace7ae33a55d9702d36526011b2b4ca5448ced75d3d3c06c57da3.webp',NULL,0,0.9,NULL);
INSERT INTO "candidates" VALUES('89qr2gg93k5t',0,0,2,'cc8c3659ca24f2d7ea126bb70a6d42cdccdb0a6e0b8c11549572793ad0266ede.webp',NULL,0,1.1,2.9);
INSERT INTO "candidates" VALUES('89qr2gg93k5t',0,1,0,'579bb95a13e1b57dff19b930d785cf9d53889192c0bc35b7530e6936ad86c5c0.webp',4.66666666666666674068e-01,1,1.0,3.0);
INSERT INTO "candidates" VALUES('89qr2gg93k5t',0,1,1,'1f3d04272f89d1b86fc679c20db93cfab85da7b8ccc3075c57c2c72ba71fa456.webp',NULL,0,0.9,NULL);
INSERT INTO "candidates" VALUES('89qr2gg93k5t',0,1,2,'0a14ce888a4bd27f775a92bfdc202d855db389ba673ed7124c3ab9f96b0d9137.webp',NULL,0,1.1,2.9);
CREATE TABLE checkpoints (
	record_id VARCHAR(24) NOT NULL, 
	epoch INTEGER NOT NULL, 
	folder VARCHAR(80) NOT NULL, 
	files JSON NOT NULL, 
	kept BOOLEAN NOT NULL, 
	seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_checkpoints PRIMARY KEY (record_id, epoch), 
	CONSTRAINT fk_checkpoints_record_id FOREIGN KEY(record_id) REFERENCES runs (record_id) ON DELETE CASCADE
);
INSERT INTO "checkpoints" VALUES('ynb3z6um938v',0,'1-0','{"pytorch_lora_weights.safetensors":{"sha256":"0000000000000000000000000000000000000000000000000000000000000000","bytes":100}}',0,4);
INSERT INTO "checkpoints" VALUES('ynb3z6um938v',1,'1-1','{"pytorch_lora_weights.safetensors":{"sha256":"0000000000000000000000000000000000000000000000000000000000000001","bytes":100}}',1,7);
INSERT INTO "checkpoints" VALUES('ynb3z6um938v',2,'1-2','{"pytorch_lora_weights.safetensors":{"sha256":"0000000000000000000000000000000000000000000000000000000000000002","bytes":100}}',0,10);
CREATE TABLE epochs (
	record_id VARCHAR(24) NOT NULL, 
	epoch INTEGER NOT NULL, 
	metrics JSON NOT NULL, 
	per_step JSON NOT NULL, 
	phases JSON NOT NULL, 
	nfe INTEGER NOT NULL, 
	decodes INTEGER NOT NULL, 
	reward_calls INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, 
	seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_epochs PRIMARY KEY (record_id, epoch), 
	CONSTRAINT fk_epochs_record_id FOREIGN KEY(record_id) REFERENCES runs (record_id) ON DELETE CASCADE
);
INSERT INTO "epochs" VALUES('ynb3z6um938v',0,'{"reward_mean":0.0,"grad_norm":null,"kl_ref":null,"heldout":0.3333333333333333}','{"clip_fraction":[null,0.5,null],"ratio_mean":[null,1.0,1.0]}','{"rollout":0.5}',0,4,4,0.0,2);
INSERT INTO "epochs" VALUES('ynb3z6um938v',1,'{"reward_mean":0.1,"grad_norm":null,"kl_ref":null,"heldout":0.3333333333333333}','{"clip_fraction":[null,0.5,null],"ratio_mean":[null,1.0,1.0]}','{"rollout":0.5}',10,4,4,1.5,5);
INSERT INTO "epochs" VALUES('ynb3z6um938v',2,'{"reward_mean":0.2,"grad_norm":null,"kl_ref":null,"heldout":0.3333333333333333}','{"clip_fraction":[null,0.5,null],"ratio_mean":[null,1.0,1.0]}','{"rollout":0.5}',20,4,4,3.0,8);
CREATE TABLE finish_rewards (
	record_id VARCHAR(24) NOT NULL, 
	step INTEGER NOT NULL, 
	iteration INTEGER NOT NULL, 
	candidate INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	value DOUBLE, 
	finite BOOLEAN NOT NULL, 
	CONSTRAINT pk_finish_rewards PRIMARY KEY (record_id, step, iteration, candidate, name), 
	CONSTRAINT fk_finish_rewards_record_id_step_iteration_candidate FOREIGN KEY(record_id, step, iteration, candidate) REFERENCES finishes (record_id, step, iteration, candidate) ON DELETE CASCADE
);
CREATE TABLE finishes (
	record_id VARCHAR(24) NOT NULL, 
	step INTEGER NOT NULL, 
	iteration INTEGER NOT NULL, 
	candidate INTEGER NOT NULL, 
	image VARCHAR(80) NOT NULL, 
	total DOUBLE, 
	finite BOOLEAN NOT NULL, 
	nfe INTEGER NOT NULL, 
	decodes INTEGER NOT NULL, 
	reward_calls INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, 
	seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_finishes PRIMARY KEY (record_id, step, iteration, candidate), 
	CONSTRAINT fk_finishes_record_id FOREIGN KEY(record_id) REFERENCES sessions (record_id) ON DELETE CASCADE
);
CREATE TABLE iterations (
	record_id VARCHAR(24) NOT NULL, 
	step INTEGER NOT NULL, 
	iteration INTEGER NOT NULL, 
	sheet VARCHAR(80), 
	elites JSON NOT NULL, 
	mean_norm DOUBLE, 
	std_quantiles JSON NOT NULL, 
	cosine DOUBLE, 
	over_noise DOUBLE, 
	batch_size INTEGER NOT NULL, 
	nfe INTEGER NOT NULL, 
	decodes INTEGER NOT NULL, 
	reward_calls INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, num_candidates INTEGER DEFAULT '0' NOT NULL, num_finite INTEGER DEFAULT '0' NOT NULL, total_best DOUBLE, total_mean DOUBLE, total_threshold DOUBLE, seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_iterations PRIMARY KEY (record_id, step, iteration), 
	CONSTRAINT fk_iterations_record_id FOREIGN KEY(record_id) REFERENCES sessions (record_id) ON DELETE CASCADE
);
INSERT INTO "iterations" VALUES('89qr2gg93k5t',0,0,'966cf8da8b202f1ad5e39257fe9ddb1bd22c105e99bc9192711ed3a6ab022949.webp','[0,2]',0.7,'[0.1,0.2,0.3,0.4,0.5]',NULL,1.09,3,10,3,3,0.5,3,1,2.66666666666666662965e-01,2.66666666666666662965e-01,2.66666666666666662965e-01,5);
INSERT INTO "iterations" VALUES('89qr2gg93k5t',0,1,'fae462989dcf9d3edca21992a6f9ec4aab9a3d562a6c2bb7c8c2dd05c47cbde1.webp','[0,2]',0.7,'[0.1,0.2,0.3,0.4,0.5]',NULL,1.09,3,20,3,3,0.5,3,1,4.66666666666666674068e-01,4.66666666666666674068e-01,4.66666666666666674068e-01,6);
CREATE TABLE job_commands (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job_id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	payload JSON NOT NULL, 
	expected_step INTEGER, 
	expected_iteration INTEGER, 
	created_at DOUBLE NOT NULL, 
	consumed_at DOUBLE, 
	refusal TEXT, 
	CONSTRAINT fk_job_commands_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE, 
	CONSTRAINT uq_job_commands_job_id_seq UNIQUE (job_id, seq)
);
INSERT INTO "job_commands" VALUES(1,1,1,'elites','{"elites":[1]}',NULL,NULL,1.79545646256821131705e+09,NULL,NULL);
CREATE TABLE job_events (
	job_id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	step INTEGER, 
	iteration INTEGER, 
	created_at DOUBLE NOT NULL, 
	CONSTRAINT pk_job_events PRIMARY KEY (job_id, seq), 
	CONSTRAINT fk_job_events_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "job_events" VALUES(1,1,'status',NULL,NULL,1.79545646256559681894e+09);
INSERT INTO "job_events" VALUES(1,2,'command',NULL,NULL,1.79545646256915688515e+09);
CREATE TABLE jobs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind VARCHAR(40) NOT NULL, 
	record_id VARCHAR(24) NOT NULL, 
	lane VARCHAR(20) NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	payload JSON NOT NULL, 
	lease_owner VARCHAR(200), 
	lease_expires_at DOUBLE, 
	attempt INTEGER NOT NULL, 
	lost INTEGER NOT NULL, 
	checkpoint TEXT, 
	error TEXT, 
	created_at DOUBLE NOT NULL, 
	last_event INTEGER NOT NULL, 
	last_command INTEGER NOT NULL, rank DOUBLE DEFAULT '0' NOT NULL, claimed_at DOUBLE, claimed_units DOUBLE, ended_at DOUBLE, 
	CONSTRAINT fk_jobs_record_id FOREIGN KEY(record_id) REFERENCES records (id) ON DELETE CASCADE
);
INSERT INTO "jobs" VALUES(1,'explore','89qr2gg93k5t','interactive','pending','{}',NULL,NULL,0,0,NULL,NULL,1.79545646255351734167e+09,2,1,1.0,NULL,NULL,NULL);
CREATE TABLE marks (
	name VARCHAR(40) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_marks PRIMARY KEY (name)
);
CREATE TABLE origins (
	record_id VARCHAR(24) NOT NULL, 
	environments JSON NOT NULL, 
	CONSTRAINT pk_origins PRIMARY KEY (record_id), 
	CONSTRAINT fk_origins_record_id FOREIGN KEY(record_id) REFERENCES records (id) ON DELETE CASCADE
);
INSERT INTO "origins" VALUES('89qr2gg93k5t','[{"lab":"0.1.0","python":"3.11.7","device":"cpu","threads":1,"packages":{"torch":"2.12.1"}}]');
CREATE TABLE records (
	id VARCHAR(24) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	name TEXT, 
	prompt TEXT NOT NULL, 
	preset VARCHAR(200) NOT NULL, 
	model VARCHAR(200) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	error TEXT, 
	headline JSON NOT NULL, 
	parent VARCHAR(24), 
	star BOOLEAN NOT NULL, 
	note TEXT NOT NULL, 
	locked BOOLEAN NOT NULL, 
	deleted_at DOUBLE, 
	created_at DOUBLE NOT NULL, 
	config JSON NOT NULL, 
	config_hash VARCHAR(64) NOT NULL, 
	picture VARCHAR(80), reward DOUBLE, erased BOOLEAN DEFAULT 0 NOT NULL, seq INTEGER DEFAULT '0' NOT NULL, rewards TEXT DEFAULT '[]' NOT NULL, 
	CONSTRAINT pk_records PRIMARY KEY (id), 
	CONSTRAINT fk_records_parent FOREIGN KEY(parent) REFERENCES records (id) ON DELETE SET NULL
);
INSERT INTO "records" VALUES('89qr2gg93k5t','session','kept','a photo of a red circle','smart-grpo','shapes-sd3','succeeded',NULL,'{"search":1.0,"ode":null,"no_search":1.0}',NULL,0,'',0,NULL,1.79545646253673672676e+09,'{"prompt":"a photo of a red circle","seed":0,"model":"shapes-sd3","num_steps":2,"guidance_scale":4.5,"step_kind":"sde","noise_level":null,"window_min":0.3,"window_max":0.8,"search_initial":false,"search":{"preset":"smart-grpo","num_candidates":3,"num_iterations":2,"elite_fraction":0.67,"reading":"literal","result":"mean","selection":"top","min_std":0.0,"algorithm":"cem"},"estimator":"one_step","estimator_steps":1,"rewards":{"verifier":1.0,"clip":0.5,"size":0.0},"arms":["ode","no_search"],"batch_size":32,"threads":1}','9bfa3fbad2c08370','c27639a1373a4403ec4bf0ec022a7e890b95def9463b6b2dac9ac3584920ba8b.webp',1.0,0,16,'["clip","size","verifier"]');
INSERT INTO "records" VALUES('azyxat99dted','reliability','a photo of two stars and 1 more','a photo of two stars','reliability','shapes-sd3','pending',NULL,'{}',NULL,0,'',0,NULL,1.79545646293212080002e+09,'{"prompts":["a photo of two stars","a photo of a square"],"base":{"prompt":"a photo of a red circle","seed":0,"model":"shapes-sd3","num_steps":3,"guidance_scale":4.5,"step_kind":"sde","noise_level":null,"window_min":0.3,"window_max":0.8,"search_initial":false,"search":{"preset":"smart-grpo","num_candidates":3,"num_iterations":2,"elite_fraction":0.67,"reading":"literal","result":"mean","selection":"top","min_std":0.0,"algorithm":"cem"},"estimator":"one_step","estimator_steps":1,"rewards":{"verifier":1.0,"clip":0.5,"size":0.0},"arms":["ode","no_search"],"batch_size":32,"threads":1},"seeds":[0,4],"num_siblings":3,"num_elites":2,"estimates":["sde","5-step"],"steps":null,"start_sigma":null}','2fb66b362eb24e85','d7255f79ee6b82317bd1fdbd4cf2cce214ce4dca45b376e291752131cab0ca76.webp',NULL,0,10,'["clip","size","verifier"]');
INSERT INTO "records" VALUES('ynb3z6um938v','train',NULL,'a photo of two stars','flow-grpo','shapes-sd3','pending',NULL,'{}',NULL,0,'',0,NULL,1.7954564633000292778e+09,'{"preset":"flow-grpo","model":"shapes-sd3","seed":0,"threads":1,"epochs":2,"prompt_set":"shapes-train","prompts":["a photo of two stars","a photo of a square"],"eval_prompts":96,"rewards":{"verifier":1.0,"clip":0.0},"prompts_per_epoch":8,"group_size":6,"updates_per_epoch":2,"num_steps":10,"eval_steps":20,"guidance_scale":1.0,"step_kind":"sde","noise_level":null,"sde_window":2,"window_min":0.3,"window_max":1.0,"noise_source":"random","search":{"preset":"smart-grpo","num_candidates":5,"num_iterations":5,"elite_fraction":0.48,"reading":"literal","result":"mean","selection":"top","min_std":0.0,"algorithm":"cem"},"searched_fraction":1.0,"learning_rate":0.0003,"weight_decay":0.0001,"max_grad_norm":1.0,"clip_range":null,"advantage_clip":5.0,"advantage_std":"batch","kl_beta":0.0,"lora_rank":32,"lora_alpha":64.0,"ema":true,"ema_decay":0.9,"micro_batch":24,"gradient_checkpointing":false,"eval_every":20,"sample_every":20,"watch_every":0,"checkpoint_every":20,"max_seconds":null}','c84e69a5a1ced455','dfa0d238e9b78fba166c9fe4643c3bf842ea593ea0f56012ef43dcd25c185597.webp',NULL,0,13,'["clip","verifier"]');
CREATE TABLE reliability (
	record_id VARCHAR(24) NOT NULL, 
	sigmas JSON, 
	step_std JSON, 
	excess_std JSON, 
	finished_at DOUBLE, 
	nfe INTEGER NOT NULL, 
	decodes INTEGER NOT NULL, 
	reward_calls INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_reliability PRIMARY KEY (record_id), 
	CONSTRAINT fk_reliability_record_id FOREIGN KEY(record_id) REFERENCES records (id) ON DELETE CASCADE
);
INSERT INTO "reliability" VALUES('azyxat99dted','[1.0,0.6666666666666666,0.3333333333333333,0.0]','[0.3,0.2,0.0]','[0.1,0.1,0.0]',NULL,0,0,0,0.0);
CREATE TABLE replays (
	record_id VARCHAR(24) NOT NULL, 
	number INTEGER NOT NULL, 
	result JSON, 
	job_id INTEGER, 
	seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_replays PRIMARY KEY (record_id, number), 
	CONSTRAINT fk_replays_record_id FOREIGN KEY(record_id) REFERENCES records (id) ON DELETE CASCADE, 
	CONSTRAINT fk_replays_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE SET NULL
);
INSERT INTO "replays" VALUES('89qr2gg93k5t',1,'{"verdict":"identical"}',NULL,16);
CREATE TABLE runs (
	record_id VARCHAR(24) NOT NULL, 
	num_epochs INTEGER NOT NULL, 
	started JSON NOT NULL, 
	environment JSON NOT NULL, 
	diagnosis JSON NOT NULL, 
	output TEXT NOT NULL, 
	finished_at DOUBLE, 
	nfe INTEGER NOT NULL, 
	decodes INTEGER NOT NULL, 
	reward_calls INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY (record_id), 
	CONSTRAINT fk_runs_record_id FOREIGN KEY(record_id) REFERENCES records (id) ON DELETE CASCADE
);
INSERT INTO "runs" VALUES('ynb3z6um938v',2,'{"sigmas":[1.0,0.5,0.0],"num_parameters":100,"trainable_parameters":8,"clip_range":0.01,"latent_dim":48,"prompts":["a photo of two stars","a photo of a square"],"eval_prompts":["b"],"sample_prompts":["b"],"nfe_per_epoch":24.0,"micro_seconds":0.001}','{"python":"3.11"}','[]','',NULL,0,0,0,0.0);
CREATE TABLE samples (
	record_id VARCHAR(24) NOT NULL, 
	epoch INTEGER NOT NULL, 
	ema BOOLEAN NOT NULL, 
	sheet VARCHAR(80) NOT NULL, 
	columns INTEGER NOT NULL, 
	cell INTEGER NOT NULL, 
	rewards JSON NOT NULL, 
	seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_samples PRIMARY KEY (record_id, epoch, ema), 
	CONSTRAINT fk_samples_record_id FOREIGN KEY(record_id) REFERENCES runs (record_id) ON DELETE CASCADE
);
INSERT INTO "samples" VALUES('ynb3z6um938v',0,1,'a1627ce23dd15b704af2823fb0fe74de91d3919cf9a32195433f7ef7102038eb.webp',8,16,'[0.5,null]',3);
INSERT INTO "samples" VALUES('ynb3z6um938v',1,1,'182e412f06c0f8706abd710c82e4691f8cda2a86e8f375179eaf740b6bef5d77.webp',8,16,'[0.5,null]',6);
INSERT INTO "samples" VALUES('ynb3z6um938v',2,1,'dfa0d238e9b78fba166c9fe4643c3bf842ea593ea0f56012ef43dcd25c185597.webp',8,16,'[0.5,null]',9);
CREATE TABLE sessions (
	record_id VARCHAR(24) NOT NULL, 
	sigmas JSON, 
	searched JSON, 
	step_std JSON, 
	excess_std JSON, 
	latent_shape JSON, 
	latents VARCHAR(80), 
	finished_at DOUBLE, 
	nfe INTEGER NOT NULL, 
	decodes INTEGER NOT NULL, 
	reward_calls INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_sessions PRIMARY KEY (record_id), 
	CONSTRAINT fk_sessions_record_id FOREIGN KEY(record_id) REFERENCES records (id) ON DELETE CASCADE
);
INSERT INTO "sessions" VALUES('89qr2gg93k5t','[1.0,0.6,0.0]','[true,false]','[0.3,0.0]','[0.1,null]','[4,2,2]','14076482140c46db337c50caa24bf1420600445665d2c3df4166c78e48992552.safetensors',1.79545646290953469278e+09,58,27,27,7.5);
CREATE TABLE siblings (
	record_id VARCHAR(24) NOT NULL, 
	"row" INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	prompt TEXT NOT NULL, 
	seed INTEGER NOT NULL, 
	sigma DOUBLE NOT NULL, 
	sigma_next DOUBLE NOT NULL, 
	data JSON NOT NULL, 
	guesses VARCHAR(80) NOT NULL, 
	finals VARCHAR(80) NOT NULL, 
	nfe INTEGER NOT NULL, 
	decodes INTEGER NOT NULL, 
	reward_calls INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, 
	seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_siblings PRIMARY KEY (record_id, "row", step), 
	CONSTRAINT fk_siblings_record_id FOREIGN KEY(record_id) REFERENCES reliability (record_id) ON DELETE CASCADE
);
INSERT INTO "siblings" VALUES('azyxat99dted',0,0,'a photo of two stars',0,1.0,6.66666666666666740681e-01,'{"proxy":{"sde":{"verifier":[0.0,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[0.0,null,0.6666666666666666]},"5-step":{"verifier":[0.0,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.0,2.0,3.0]}},"truth":{"verifier":[0.0,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[0.0,null,0.6666666666666666]},"walked":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"ended":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"latent_distance":{"sde":[0.1,null,0.3],"5-step":[0.0,0.0,0.0]},"pixel_distance":{"sde":[0.1,0.2,0.3],"5-step":[0.0,0.0,0.0]},"returned":{"sde":{"elites":[0,2],"rewards":{"best":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"mean":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5}},"averaged":null,"elite_mean":0.5}},"cost":{"sde":{"nfe":6,"decodes":3,"reward_calls":9,"seconds":0.25},"5-step":{"nfe":30,"decodes":3,"reward_calls":9,"seconds":0.5}},"truth_cost":{"nfe":12,"decodes":3,"reward_calls":9,"seconds":0.25},"sheet":{"columns":3,"cell":8}}','e666eb39be4049bada79e1aced98abb2a72e14b8ad93214196cfedad314e9a68.webp','41746cc0f500e325911e569933fca546f1baedbcd05a170cea343bf1639b0734.webp',48,9,27,1.0,2);
INSERT INTO "siblings" VALUES('azyxat99dted',0,1,'a photo of two stars',0,6.66666666666666740681e-01,3.3333333333333337034e-01,'{"proxy":{"sde":{"verifier":[1.0,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.0,null,0.6666666666666666]},"5-step":{"verifier":[1.0,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.0,2.0,3.0]}},"truth":{"verifier":[1.0,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.0,null,0.6666666666666666]},"walked":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"ended":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"latent_distance":{"sde":[0.1,null,0.3],"5-step":[0.0,0.0,0.0]},"pixel_distance":{"sde":[0.1,0.2,0.3],"5-step":[0.0,0.0,0.0]},"returned":{"sde":{"elites":[0,2],"rewards":{"best":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"mean":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5}},"averaged":null,"elite_mean":0.5}},"cost":{"sde":{"nfe":6,"decodes":3,"reward_calls":9,"seconds":0.25},"5-step":{"nfe":30,"decodes":3,"reward_calls":9,"seconds":0.5}},"truth_cost":{"nfe":12,"decodes":3,"reward_calls":9,"seconds":0.25},"sheet":{"columns":3,"cell":8}}','c25df1c75505b950bb007b1f0c56c612e49d9ed3d6f88e5fefda0e74950bf3cc.webp','2b0ff9664c756fd99b1330f7276c469289ed90a12b9f7a08d18a0c2f1931c742.webp',48,9,27,1.0,3);
INSERT INTO "siblings" VALUES('azyxat99dted',1,0,'a photo of two stars',4,1.0,6.66666666666666740681e-01,'{"proxy":{"sde":{"verifier":[0.1,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[0.1,null,0.6666666666666666]},"5-step":{"verifier":[0.1,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.0,2.0,3.0]}},"truth":{"verifier":[0.1,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[0.1,null,0.6666666666666666]},"walked":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"ended":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"latent_distance":{"sde":[0.1,null,0.3],"5-step":[0.0,0.0,0.0]},"pixel_distance":{"sde":[0.1,0.2,0.3],"5-step":[0.0,0.0,0.0]},"returned":{"sde":{"elites":[0,2],"rewards":{"best":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"mean":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5}},"averaged":null,"elite_mean":0.5}},"cost":{"sde":{"nfe":6,"decodes":3,"reward_calls":9,"seconds":0.25},"5-step":{"nfe":30,"decodes":3,"reward_calls":9,"seconds":0.5}},"truth_cost":{"nfe":12,"decodes":3,"reward_calls":9,"seconds":0.25},"sheet":{"columns":3,"cell":8}}','05db508fe45aab5c15d1c1f136d0184a5bbadd33998a31708d6764b378838560.webp','ef455a2f80fa26d00dfa317bc6b78b74677c76660fe2ebd557a0173b5f9e241a.webp',48,9,27,1.0,4);
INSERT INTO "siblings" VALUES('azyxat99dted',1,1,'a photo of two stars',4,6.66666666666666740681e-01,3.3333333333333337034e-01,'{"proxy":{"sde":{"verifier":[1.1,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.1,null,0.6666666666666666]},"5-step":{"verifier":[1.1,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.0,2.0,3.0]}},"truth":{"verifier":[1.1,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.1,null,0.6666666666666666]},"walked":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"ended":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"latent_distance":{"sde":[0.1,null,0.3],"5-step":[0.0,0.0,0.0]},"pixel_distance":{"sde":[0.1,0.2,0.3],"5-step":[0.0,0.0,0.0]},"returned":{"sde":{"elites":[0,2],"rewards":{"best":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"mean":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5}},"averaged":null,"elite_mean":0.5}},"cost":{"sde":{"nfe":6,"decodes":3,"reward_calls":9,"seconds":0.25},"5-step":{"nfe":30,"decodes":3,"reward_calls":9,"seconds":0.5}},"truth_cost":{"nfe":12,"decodes":3,"reward_calls":9,"seconds":0.25},"sheet":{"columns":3,"cell":8}}','8c2f9fc72b86013fcdfc582b46331aef2ee4abf168816e40804cf31b37502c77.webp','83d88b7d94715c2504e9b04f85f616ead2ed4183f938b9157ae37895b194beb5.webp',48,9,27,1.0,5);
INSERT INTO "siblings" VALUES('azyxat99dted',2,0,'a photo of a square',0,1.0,6.66666666666666740681e-01,'{"proxy":{"sde":{"verifier":[0.2,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[0.2,null,0.6666666666666666]},"5-step":{"verifier":[0.2,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.0,2.0,3.0]}},"truth":{"verifier":[0.2,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[0.2,null,0.6666666666666666]},"walked":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"ended":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"latent_distance":{"sde":[0.1,null,0.3],"5-step":[0.0,0.0,0.0]},"pixel_distance":{"sde":[0.1,0.2,0.3],"5-step":[0.0,0.0,0.0]},"returned":{"sde":{"elites":[0,2],"rewards":{"best":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"mean":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5}},"averaged":null,"elite_mean":0.5}},"cost":{"sde":{"nfe":6,"decodes":3,"reward_calls":9,"seconds":0.25},"5-step":{"nfe":30,"decodes":3,"reward_calls":9,"seconds":0.5}},"truth_cost":{"nfe":12,"decodes":3,"reward_calls":9,"seconds":0.25},"sheet":{"columns":3,"cell":8}}','eade9fe093858d806d37a11228bab9de436a156a9c1e16699a2a65cda74c6311.webp','4700bc97b80407696f3702d264ce7df3ce4e4a0ad19ff4bce60cdcbb45a726ab.webp',48,9,27,1.0,6);
INSERT INTO "siblings" VALUES('azyxat99dted',2,1,'a photo of a square',0,6.66666666666666740681e-01,3.3333333333333337034e-01,'{"proxy":{"sde":{"verifier":[1.2,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.2,null,0.6666666666666666]},"5-step":{"verifier":[1.2,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.0,2.0,3.0]}},"truth":{"verifier":[1.2,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.2,null,0.6666666666666666]},"walked":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"ended":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"latent_distance":{"sde":[0.1,null,0.3],"5-step":[0.0,0.0,0.0]},"pixel_distance":{"sde":[0.1,0.2,0.3],"5-step":[0.0,0.0,0.0]},"returned":{"sde":{"elites":[0,2],"rewards":{"best":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"mean":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5}},"averaged":null,"elite_mean":0.5}},"cost":{"sde":{"nfe":6,"decodes":3,"reward_calls":9,"seconds":0.25},"5-step":{"nfe":30,"decodes":3,"reward_calls":9,"seconds":0.5}},"truth_cost":{"nfe":12,"decodes":3,"reward_calls":9,"seconds":0.25},"sheet":{"columns":3,"cell":8}}','9902ed81dd6ead9669c117c623a95991daea747fc27dc64b266bb5db8de0e97b.webp','d6a9d06d250a0bfe5dbd4eb12a04880da5d3f8ae9b9b522899a7442e628ff8c1.webp',48,9,27,1.0,7);
INSERT INTO "siblings" VALUES('azyxat99dted',3,0,'a photo of a square',4,1.0,6.66666666666666740681e-01,'{"proxy":{"sde":{"verifier":[0.30000000000000004,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[0.30000000000000004,null,0.6666666666666666]},"5-step":{"verifier":[0.30000000000000004,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.0,2.0,3.0]}},"truth":{"verifier":[0.30000000000000004,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[0.30000000000000004,null,0.6666666666666666]},"walked":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"ended":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"latent_distance":{"sde":[0.1,null,0.3],"5-step":[0.0,0.0,0.0]},"pixel_distance":{"sde":[0.1,0.2,0.3],"5-step":[0.0,0.0,0.0]},"returned":{"sde":{"elites":[0,2],"rewards":{"best":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"mean":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5}},"averaged":null,"elite_mean":0.5}},"cost":{"sde":{"nfe":6,"decodes":3,"reward_calls":9,"seconds":0.25},"5-step":{"nfe":30,"decodes":3,"reward_calls":9,"seconds":0.5}},"truth_cost":{"nfe":12,"decodes":3,"reward_calls":9,"seconds":0.25},"sheet":{"columns":3,"cell":8}}','2c23e443968b3de2714ed8fd034600e61f15af2e1d122bead11a6efd60f59335.webp','7b2a7a4e6f20b6eb05347348f4877e46ad8f7e458394a1c43d3ce6f857101a60.webp',48,9,27,1.0,8);
INSERT INTO "siblings" VALUES('azyxat99dted',3,1,'a photo of a square',4,6.66666666666666740681e-01,3.3333333333333337034e-01,'{"proxy":{"sde":{"verifier":[1.3,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.3,null,0.6666666666666666]},"5-step":{"verifier":[1.3,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.0,2.0,3.0]}},"truth":{"verifier":[1.3,null,0.3333333333333333],"clip":[-1.0,null,0.5],"size":[1.0,2.0,3.0],"total":[1.3,null,0.6666666666666666]},"walked":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"ended":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"latent_distance":{"sde":[0.1,null,0.3],"5-step":[0.0,0.0,0.0]},"pixel_distance":{"sde":[0.1,0.2,0.3],"5-step":[0.0,0.0,0.0]},"returned":{"sde":{"elites":[0,2],"rewards":{"best":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5},"mean":{"verifier":0.5,"clip":null,"size":1.0,"total":0.5}},"averaged":null,"elite_mean":0.5}},"cost":{"sde":{"nfe":6,"decodes":3,"reward_calls":9,"seconds":0.25},"5-step":{"nfe":30,"decodes":3,"reward_calls":9,"seconds":0.5}},"truth_cost":{"nfe":12,"decodes":3,"reward_calls":9,"seconds":0.25},"sheet":{"columns":3,"cell":8}}','890af7c1f14201403cc70f333584c0d5d714a8ad51f41bc67d86369d44e62cec.webp','d7255f79ee6b82317bd1fdbd4cf2cce214ce4dca45b376e291752131cab0ca76.webp',48,9,27,1.0,9);
CREATE TABLE step_rewards (
	record_id VARCHAR(24) NOT NULL, 
	step INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	value DOUBLE, 
	finite BOOLEAN NOT NULL, 
	CONSTRAINT pk_step_rewards PRIMARY KEY (record_id, step, name), 
	CONSTRAINT fk_step_rewards_record_id_step FOREIGN KEY(record_id, step) REFERENCES steps (record_id, step) ON DELETE CASCADE
);
INSERT INTO "step_rewards" VALUES('89qr2gg93k5t',0,'verifier',0.5,1);
INSERT INTO "step_rewards" VALUES('89qr2gg93k5t',0,'clip',0.1,1);
INSERT INTO "step_rewards" VALUES('89qr2gg93k5t',0,'size',NULL,0);
INSERT INTO "step_rewards" VALUES('89qr2gg93k5t',1,'verifier',1.5,1);
INSERT INTO "step_rewards" VALUES('89qr2gg93k5t',1,'clip',0.1,1);
INSERT INTO "step_rewards" VALUES('89qr2gg93k5t',1,'size',NULL,0);
CREATE TABLE steps (
	record_id VARCHAR(24) NOT NULL, 
	step INTEGER NOT NULL, 
	latents VARCHAR(80) NOT NULL, 
	image VARCHAR(80) NOT NULL, 
	noise_norm DOUBLE, 
	log_prob DOUBLE, 
	nfe INTEGER NOT NULL, 
	decodes INTEGER NOT NULL, 
	reward_calls INTEGER NOT NULL, 
	seconds DOUBLE NOT NULL, seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_steps PRIMARY KEY (record_id, step), 
	CONSTRAINT fk_steps_record_id FOREIGN KEY(record_id) REFERENCES sessions (record_id) ON DELETE CASCADE
);
INSERT INTO "steps" VALUES('89qr2gg93k5t',0,'fa098f0df68c6c9da84b57f3f582ac673d31075ec970da846151222d3a30ecd2.safetensors','2328ee73fbe597204aac1b81f9873b86ab8f9db7da741a484841aa777c4a318b.webp',0.98,-0.5,25,7,7,1.5,7);
INSERT INTO "steps" VALUES('89qr2gg93k5t',1,'3f43f5da9536c015d54df8a49ba29273a445df788da68a02c6aba42ab62e8fcb.safetensors','6ed16ce9fca30eb69673cba564622333c6c0dd3623cd681e14d978f7a5f9bb65.webp',0.98,-0.5,45,7,7,1.5,8);
CREATE TABLE tags (
	record_id VARCHAR(24) NOT NULL, 
	tag VARCHAR(40) NOT NULL, 
	CONSTRAINT pk_tags PRIMARY KEY (record_id, tag), 
	CONSTRAINT fk_tags_record_id FOREIGN KEY(record_id) REFERENCES records (id) ON DELETE CASCADE
);
INSERT INTO "tags" VALUES('89qr2gg93k5t','session ä');
INSERT INTO "tags" VALUES('89qr2gg93k5t','talk');
INSERT INTO "tags" VALUES('azyxat99dted','reliability ä');
INSERT INTO "tags" VALUES('azyxat99dted','talk');
INSERT INTO "tags" VALUES('ynb3z6um938v','talk');
INSERT INTO "tags" VALUES('ynb3z6um938v','train ä');
CREATE TABLE trials (
	record_id VARCHAR(24) NOT NULL, 
	number INTEGER NOT NULL, 
	asked JSON NOT NULL, 
	result JSON, 
	job_id INTEGER, 
	seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_trials PRIMARY KEY (record_id, number), 
	CONSTRAINT fk_trials_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE SET NULL, 
	CONSTRAINT fk_trials_record_id FOREIGN KEY(record_id) REFERENCES runs (record_id) ON DELETE CASCADE
);
INSERT INTO "trials" VALUES('ynb3z6um938v',1,'{"prompts":["b"],"search":null,"epoch":2}','null',NULL,12);
CREATE TABLE watched (
	record_id VARCHAR(24) NOT NULL, 
	epoch INTEGER NOT NULL, 
	session_id VARCHAR(24) NOT NULL, 
	seq INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_watched PRIMARY KEY (record_id, epoch), 
	CONSTRAINT fk_watched_session_id FOREIGN KEY(session_id) REFERENCES records (id) ON DELETE CASCADE, 
	CONSTRAINT fk_watched_record_id FOREIGN KEY(record_id) REFERENCES runs (record_id) ON DELETE CASCADE
);
INSERT INTO "watched" VALUES('ynb3z6um938v',1,'89qr2gg93k5t',11);
CREATE INDEX ix_records_created_at_id ON records (created_at, id);
CREATE INDEX ix_records_parent ON records (parent);
CREATE INDEX ix_jobs_lane_status_id ON jobs (lane, status, id);
CREATE INDEX ix_jobs_record_id ON jobs (record_id);
CREATE INDEX ix_iterations_record_id_seq ON iterations (record_id, seq);
CREATE INDEX ix_finishes_record_id_seq ON finishes (record_id, seq);
CREATE INDEX ix_watched_session_id ON watched (session_id);
CREATE INDEX ix_trials_job_id ON trials (job_id);
CREATE INDEX ix_tags_tag ON tags (tag);
CREATE INDEX ix_records_config_hash ON records (config_hash);
CREATE INDEX ix_replays_job_id ON replays (job_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',1);
INSERT INTO "sqlite_sequence" VALUES('job_commands',1);
COMMIT;
